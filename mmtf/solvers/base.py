"""The interface of every solver of min_u max_v f(u, v) (Eq. 11), and the functions they share.

f takes two lists of tensors, the values of the two players' variables. It returns a scalar, or a
tensor with the values of several independent games; the leading axes of u and v are then the
games, and the gradients are those of the sum over the games.

Under `tf.distribute`, f returns the contribution of its replica (a sum over its examples divided
by the global batch size), and the objective is the sum over the replicas. All gradients and
gradient norms in the update rules are those of this sum: `Solver.reduce` sums gradients over the
replicas before a norm is taken or differentiated.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import tensorflow as tf

from mmtf.solvers.optimizers import OptimizerLike, live, show

Tensors = list[tf.Tensor]
# f(u, v) at the values of the two players' variables.
Objective = Callable[[Tensors, Tensors], tf.Tensor]
# Maps a list, the values of a player's variables, to the list of their projections.
Projection = Callable[[Any], Any]


def cross_replica_sum(tensors: Tensors) -> Tensors:
    """Sums each tensor over the replicas; with one replica, returns `tensors` unchanged.

    Differentiable: the gradient of a sum over replicas is the sum of the upstream gradients of all
    replicas.

    >>> [float(x) for x in cross_replica_sum([tf.constant(2.0)])]
    [2.0]
    """
    if _replicas() == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def dot(a: Iterable[tf.Tensor], b: Iterable[tf.Tensor]) -> tf.Tensor:
    """The inner product <a, b> of two lists of tensors of equal shapes: a scalar."""
    return tf.add_n([tf.reduce_sum(x * y) for x, y in zip(a, b, strict=True)])


def differentiate(f: Objective, u: Tensors, v: Tensors, *players: Tensors) -> tuple[Any, ...]:
    """Evaluates f(u, v) and its gradients with respect to one or both players.

    Args:
      f: called with u and v.
      u, v: lists of tensors.
      *players: `u`, `v` or both, the same objects.

    Returns:
      (f(u, v), a list of gradients for each of `players`). The gradient of a tensor that f does not
      use is 0.

    Raises:
      ValueError: f uses none of the tensors of a player.

    >>> u, v = [tf.constant(3.0)], [tf.constant(2.0)]
    >>> value, gradient = differentiate(lambda u, v: u[0] * v[0] ** 2, u, v, v)
    >>> float(value), float(gradient[0])
    (12.0, 12.0)
    """
    with tf.GradientTape() as tape:
        tape.watch(players)
        value = f(u, v)
        total = tf.reduce_sum(value)
    gradients = tape.gradient(total, players)
    return value, *(_connected(g, p) for g, p in zip(gradients, players, strict=True))


def local_gradients(
    f: Objective, f_max: Objective | None, u: Tensors, v: Tensors
) -> tuple[tf.Tensor, Tensors, Tensors]:
    """f(u, v), the gradient of f in u, and the gradient of `f_max` in v, on this replica.

    Args:
      f: what u descends.
      f_max: what v ascends; None: f.
      u, v: lists of tensors.
    """
    if f_max is None:
        return differentiate(f, u, v, u, v)
    value, descent = differentiate(f, u, v, u)
    _, ascent = differentiate(f_max, u, v, v)
    return value, descent, ascent


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Solver(tf.Module):
    """An update rule for min_u max_v f(u, v): `build` it on variables, then call `step`.

    Args:
      u_optimizer, v_optimizer: what turns a gradient into an update of u and of v: a Keras
        optimizer, its name, or the learning rate (a number or a Keras schedule) of plain gradient
        steps. A Keras optimizer serves a single `build`; from a name or a learning rate each
        `build` makes a new one.
      project_u, project_v: constraint of each player: a function from a list of tensors to the
        list of their projections, applied after every update (`mmtf.solvers.projections`); None:
        no constraint.

    Attributes:
      u_variables, v_variables: the players' variables, set by `build`.
      descent, ascent: the Keras optimizers of u and v, set by `build`.
      updates: how many times a step applies u's optimizer.

    A solver is a tf.Module: `tf.train.Checkpoint(solver=solver)` saves all of its variables.

    A new rule subclasses Solver and writes `step` from `read`, `differentiate`, `reduce`,
    `minimize` and `maximize`.

    >>> import keras
    >>> from mmtf.solvers import Box, Simultaneous
    >>> solver = Simultaneous(u_optimizer=0.5, v_optimizer="adam", project_u=Box(-1.0, 1.0))
    >>> solver  # doctest: +ELLIPSIS
    Simultaneous(u_optimizer=0.5, v_optimizer='adam', project_u=Box(...), project_v=None)
    >>> u, v = keras.Variable(3.0), keras.Variable(1.0)
    >>> metrics = solver.build([u], [v]).step(lambda u, v: u[0] ** 2 - v[0] ** 2)
    >>> float(metrics["value"]), float(metrics["u_norm"]), float(u.numpy())
    (8.0, 6.0, 0.0)
    """

    u_optimizer: OptimizerLike = 0.01
    v_optimizer: OptimizerLike = 0.01
    project_u: Projection | None = None
    project_v: Projection | None = None
    updates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        arguments = inspect.signature(type(self).__init__).parameters
        shown = [f"{name}={show(getattr(self, name))}" for name in arguments if name != "self"]
        return f"{type(self).__name__}({', '.join(shown)})"

    def build(self, u_variables: Iterable[Any], v_variables: Iterable[Any]) -> "Solver":
        """Sets the players' variables and creates the variables of the rule and its optimizers.

        Under a distribution strategy, call it inside the strategy's scope.

        Args:
          u_variables, v_variables: Keras or TensorFlow variables of one floating type, at least one
            for each player.

        Returns:
          self.

        Raises:
          ValueError: no variables, variables of different types, or an optimizer that cannot be
            used (`mmtf.solvers.optimizers.live`).
        """
        self.u_variables = _require_some(u_variables, "u")
        self.v_variables = _require_some(v_variables, "v")
        types = sorted({tf.as_dtype(x.dtype).name for x in self.u_variables + self.v_variables})
        if len(types) > 1:
            raise ValueError(f"Expected variables of one floating type. Received {types}.")
        self.descent = live(self.u_optimizer, self.u_variables)
        self.ascent = live(self.v_optimizer, self._ascended())
        return self

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
        """Updates both players once.

        Args:
          f: (u, v) -> value; u descends it, and v ascends it.
          f_max: what v ascends if that is not f (f without dropout, for example); every gradient
            in v is then that of `f_max`.

        Returns:
          A dictionary of scalars: `value`, f at the point where u's gradient was taken, summed over
          games and replicas; `u_norm` and `v_norm`, Euclidean norms of the directions given to the
          two optimizers; `penalty`, the term that the rule adds to f, else 0.
        """
        raise NotImplementedError

    def reduce(self, tensors: Tensors) -> Tensors:
        """Sums local gradients over the replicas; override it for another kind of reduction."""
        return cross_replica_sum(tensors)

    def read(self) -> tuple[Tensors, Tensors]:
        """The current values (u, v) as two lists of tensors; later updates do not change them."""
        return values_of(self.u_variables), values_of(self.v_variables)

    def gradients(
        self, f: Objective, f_max: Objective | None, u: Tensors, v: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """`local_gradients` with both gradients summed over replicas."""
        value, descent, ascent = local_gradients(f, f_max, u, v)
        return value, self.reduce(descent), self.reduce(ascent)

    def minimize(self, direction: Tensors) -> None:
        """Updates u by a step of its optimizer down the gradient `direction`, then projects."""
        _apply(self.descent, self.u_variables, direction)
        if self.project_u is not None:
            assign(self.u_variables, self.project_u(values_of(self.u_variables)))

    def maximize(self, direction: Tensors) -> None:
        """Updates v by a step of its optimizer up the gradient `direction`, then projects."""
        _apply(self.ascent, self._ascended(), [-g for g in direction])
        if self.project_v is not None:
            assign(self._ascended(), self._projected(self.project_v, values_of(self._ascended())))

    def metrics(
        self, value: tf.Tensor, descent: Tensors, ascent: Tensors, penalty: Any = 0.0
    ) -> dict[str, tf.Tensor]:
        """The dictionary that `step` returns.

        Args:
          value: f on this replica.
          descent, ascent: directions given to the optimizers of u and v, summed over the replicas.
          penalty: the term that the rule adds to f, summed over the replicas.
        """
        (value,) = self.reduce([tf.reduce_sum(value)])
        return {
            "value": value,
            "u_norm": tf.sqrt(dot(descent, descent)),
            "v_norm": tf.sqrt(dot(ascent, ascent)),
            "penalty": tf.cast(penalty, value.dtype),
        }

    def _ascended(self):
        # What v's optimizer updates: K-beam keeps several candidates for v.
        return self.v_variables

    def _projected(self, project, tensors):
        return project(tensors)


def values_of(variables: Iterable[Any]) -> Tensors:
    """The values of Keras or TensorFlow variables as a list of tensors."""
    return [tf.convert_to_tensor(variable) for variable in variables]


def assign(variables: Iterable[Any], values: Iterable[Any]) -> None:
    """Assigns to each variable its value, which must be the same on all replicas."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _replicas():
    # None in a cross-replica context, where nothing is local to a replica.
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def _connected(gradients, player):
    if all(g is None for g in gradients):
        raise ValueError(
            "Expected f to depend on the tensors of u and v that it is called with. Received an "
            "f whose gradient is None for all variables of a player. If f reads the variables of a "
            "model, evaluate the model at tensors with `mmtf.functional.call`."
        )
    pairs = zip(gradients, player, strict=True)
    return [tf.zeros_like(x) if g is None else tf.convert_to_tensor(g) for g, x in pairs]


def _apply(optimizer, variables, direction):
    # A Keras optimizer sums the gradients that it gets on each replica.
    replicas = _replicas()
    share = direction if replicas == 1 else [g / replicas for g in direction]
    optimizer.apply(share, variables)


def _require_some(variables, player):
    variables = list(variables)
    if not variables:
        raise ValueError(f"Expected at least one variable of {player}. Received an empty list.")
    return variables
