"""Functions that solve a minimax problem: `solve`, `maximin`, `switched`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mmtf.errors import require_int
from mmtf.solvers.base import Solver


class Solution(NamedTuple):
    """The result of `solve` or `maximin`.

    Attributes:
      u, v: last values, in the structures of the starting points.
      value: f(u, v).
      trajectory: pair (u, v) of all iterates, each tensor with a leading axis of length steps + 1;
        None unless requested.
    """

    u: Any
    v: Any
    value: tf.Tensor
    trajectory: Any = None


def solve(
    f: Callable[[Any, Any], tf.Tensor],
    u0: Any,
    v0: Any,
    *,
    solver: Solver,
    steps: int,
    trajectory: bool = False,
) -> Solution:
    """Solves min_u max_v f(u, v) from (u0, v0) by `steps` steps of `solver`, in one compiled loop.

    Args:
      f: (u, v) -> value, differentiable; called with tensors in the structures of u0 and v0.
      u0, v0: starting points: a number, an array, a tensor or a variable, or a list, tuple or
        dictionary of them. Keras and TensorFlow variables are updated in place; other values are
        not changed. Python numbers become float32.
      solver: a solver of `mmtf.solvers.SOLVERS` or your own; `solve` builds it.
      steps: whole number, >= 0.
      trajectory: whether to return all iterates.

    Returns:
      A `Solution`.

    Raises:
      ValueError: steps < 0.

    >>> from mmtf.solvers import Extragradient
    >>> solver = Extragradient(u_optimizer=0.5, v_optimizer=0.5)
    >>> f = lambda u, v: (u - 1.0) * (v + 2.0)
    >>> solution = solve(f, 0.0, 0.0, solver=solver, steps=200, trajectory=True)
    >>> round(float(solution.u), 4), round(float(solution.v), 4), solution.trajectory[0].shape[0]
    (1.0, -2.0, 201)
    """
    require_int("steps", steps, at_least=0)
    u_variables = [_variable(x) for x in tf.nest.flatten(u0)]
    v_variables = [_variable(x) for x in tf.nest.flatten(v0)]
    solver.build(u_variables, v_variables)

    def game(u, v):
        return f(tf.nest.pack_sequence_as(u0, u), tf.nest.pack_sequence_as(v0, v))

    def now():
        u, v = solver.read()
        return u + v

    def run():
        states = now()
        paths = [
            tf.TensorArray(x.dtype, size=steps + 1, element_shape=x.shape)
            for x in (states if trajectory else [])
        ]
        paths = [path.write(0, x) for path, x in zip(paths, states, strict=False)]

        def body(i, paths):
            solver.step(game)
            return i + 1, [path.write(i, x) for path, x in zip(paths, now(), strict=False)]

        _, paths = tf.while_loop(lambda i, _: i <= steps, body, [tf.constant(1), paths])
        return [path.stack() for path in paths]

    # AutoGraph off: it needs the source of f, which is not always available, as for lambdas.
    paths = tf.function(run, autograph=False).get_concrete_function()()
    u, v = solver.read()
    packed_u, packed_v = tf.nest.pack_sequence_as(u0, u), tf.nest.pack_sequence_as(v0, v)
    if trajectory:
        paths = (
            tf.nest.pack_sequence_as(u0, paths[: len(u)]),
            tf.nest.pack_sequence_as(v0, paths[len(u) :]),
        )
    return Solution(packed_u, packed_v, f(packed_u, packed_v), paths if trajectory else None)


def maximin(
    f: Callable[[Any, Any], tf.Tensor],
    u0: Any,
    v0: Any,
    *,
    solver: Solver,
    steps: int,
    trajectory: bool = False,
) -> Solution:
    """Solves max_v min_u f(u, v) (Eq. 17) by switching the players and the sign of f.

    Arguments and result are those of `solve`, with the solver's roles switched: its `u_optimizer`,
    `project_u` and penalty act on v, and its `v_optimizer` and `project_v` act on u. The solution
    is that of f: u, v and f(u, v), not -f.

    >>> from mmtf.solvers import Box, KBeam
    >>> box = Box(-0.5, 0.5)
    >>> f = lambda u, v: (u - v) ** 2
    >>> leader = {"u_optimizer": 0.01, "v_optimizer": 0.1, "project_u": box, "project_v": box}
    >>> solution = maximin(f, 0.4, -0.3, solver=KBeam(**leader), steps=100)
    >>> abs(float(solution.value)) < 1e-3  # whereas min_u max_v f = 1/4
    True
    """
    solution = solve(switched(f), v0, u0, solver=solver, steps=steps, trajectory=trajectory)
    path = solution.trajectory[::-1] if trajectory else None
    return Solution(solution.v, solution.u, -solution.value, path)


def switched(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The game with the players switched and the sign flipped: (v, u) -> -f(u, v).

    Its value min_v max_u [-f(u, v)] equals -(max_v min_u f(u, v)).

    >>> switched(lambda u, v: u - 2 * v)(1, 10)
    -8
    """
    return lambda v, u: -f(u, v)


def _variable(x):
    if isinstance(x, keras.Variable | tf.Variable):
        return x
    x = tf.convert_to_tensor(x)
    x = x if x.dtype.is_floating else tf.cast(x, tf.float32)
    return keras.Variable(x, dtype=x.dtype.name)
