"""K-beam (Hamm and Noh 2018): K candidates for the maximizer, descent on the best of them."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.errors import require_int, require_number, require_seed
from mmtf.solvers.base import Objective, Solver, assign, differentiate, values_of


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class KBeam(Solver):
    """Descent on max_k f(u, v_k) over K candidates v_k, all of which keep ascending.

        u   <- u - lambda df/du (u, v_best),  v_best the candidate with the largest f(u, v_k)
        v_k <- v_k + sigma df/dv (u, v_k)     for every k, `v_steps` times

    For inner problems with several maximizers, or with a maximizer that jumps as u changes; the
    other rules follow a single one. A step costs about K gradients, and memory holds K copies of v.

    Args:
      beams: K, >= 1. With K = 1, u descends and then v ascends.
      v_steps: ascent steps of each candidate after each step of u, >= 1.
      epsilon: >= 0; u descends the mean of the gradients over all candidates whose value is within
        epsilon of the largest (an epsilon-subgradient of max_v f). With 0 it descends on a single
        candidate with the largest value.
      spread: standard deviation of normal noise. Candidate 0 starts at v, and the others start in
        pairs at v + noise and v - noise, projected, so that opposite directions are both covered.
        `set_beam` places a candidate elsewhere.
      seed: seed for that noise.

    After a step, v's variables hold the candidate that u descended on, after its own ascent. Where
    f returns one value for each of several independent games, each game has its own best candidate,
    and the leading axes of v are the games.

    Source: Hamm and Noh, "K-Beam Minimax: Efficient Optimization for Deep Adversarial Learning",
    ICML 2018, Algorithm 1.

    >>> from mmtf.solvers import Box, solve
    >>> box = Box(-0.5, 0.5)
    >>> solver = KBeam(
    ...     u_optimizer=0.01, v_optimizer=0.1, project_u=box, project_v=box, spread=1.0
    ... )
    >>> f = lambda u, v: 2 * v**2 - (u - v) ** 2
    >>> solution = solve(f, 0.4, 0.0, solver=solver, steps=200)
    >>> abs(float(solution.u)) < 0.02, abs(float(solution.v))
    (True, 0.5)
    """

    beams: int = 10
    v_steps: int = 1
    epsilon: float = 0.0
    spread: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("beams", self.beams)
        require_int("v_steps", self.v_steps)
        require_number("epsilon", self.epsilon, at_least=0)
        require_number("spread", self.spread, at_least=0)
        require_seed(self.seed)

    def build(self, u_variables: Iterable[Any], v_variables: Iterable[Any]) -> "KBeam":
        v_variables = list(v_variables)
        rng = np.random.default_rng(self.seed)
        starts = [np.array(variable) for variable in v_variables]
        candidates = [starts]
        for k in range(1, self.beams):
            if k % 2:
                noise = [self.spread * rng.normal(size=x.shape).astype(x.dtype) for x in starts]
            else:
                noise = [-x for x in noise]
            moved = [x + y for x, y in zip(starts, noise, strict=True)]
            candidates.append(self.project_v(moved) if self.project_v else moved)
        self.candidates = [
            keras.Variable(np.stack(values), dtype=variable.dtype, name="candidates")
            for variable, *values in zip(v_variables, *candidates, strict=True)
        ]
        super().build(u_variables, v_variables)
        return self

    def set_beam(self, k: int, values: Iterable[Any]) -> None:
        """Sets candidate k.

        Args:
          k: 0 <= k < K.
          values: one value for each of v's variables, of its shape.

        Raises:
          ValueError: k is out of range.
        """
        if not 0 <= k < self.beams:
            raise ValueError(f"Expected k in 0 to {self.beams - 1}. Received {k!r}.")
        for stack, value in zip(self.candidates, values, strict=True):
            now = np.array(stack)
            now[k] = value
            stack.assign(now)

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
        def risks(u, stacks):
            return tf.stack([f(u, v) for v in self._candidates(stacks)])

        def gains(u, stacks):
            return tf.stack([(f_max or f)(u, v) for v in self._candidates(stacks)])

        u, _ = self.read()
        stacks = values_of(self.candidates)
        (values,) = self.reduce([gains(u, stacks)])
        best = tf.argmax(values)
        if values.shape.rank == 1 and self.epsilon == 0:
            # One backward pass instead of K.
            value, descent = differentiate(f, u, _pick(stacks, best), u)
        else:
            weights = self._weights(values, best)
            value, descent = differentiate(lambda u, v: weights * risks(u, v), u, stacks, u)
        descent = self.reduce(descent)
        self.minimize(descent)
        u, _ = self.read()
        for _ in range(self.v_steps):
            stacks = values_of(self.candidates)
            _, ascent = differentiate(gains, u, stacks, stacks)
            ascent = self.reduce(ascent)
            self.maximize(ascent)
        assign(self.v_variables, _pick(values_of(self.candidates), best))
        return self.metrics(value, descent, ascent)

    def _ascended(self):
        return self.candidates

    def _projected(self, project, stacks):
        # One candidate at a time: a projection may combine all tensors that it is given.
        candidates = [project(v) for v in self._candidates(stacks)]
        return [tf.stack(values) for values in zip(*candidates, strict=True)]

    def _candidates(self, stacks):
        return [[stack[k] for stack in stacks] for k in range(self.beams)]

    def _weights(self, values, best):
        if self.epsilon == 0:
            return tf.one_hot(best, self.beams, axis=0, dtype=values.dtype)
        active = tf.cast(values >= tf.reduce_max(values, axis=0) - self.epsilon, values.dtype)
        return active / tf.reduce_sum(active, axis=0)


def _pick(stacks, best):
    # The best candidate of each stack: [K, games..., rest...] and best [games...] to
    # [games..., rest...].
    if best.shape.rank == 0:
        return [tf.gather(stack, best) for stack in stacks]
    picked = []
    for stack in stacks:
        games = stack.shape[1 : 1 + best.shape.rank]
        if games != best.shape:
            raise ValueError(
                "Expected the leading axes of v's variables to be the games that f returns values "
                f"of, {best.shape}. Received a variable of shape {stack.shape[1:]}."
            )
        chosen = tf.one_hot(best, stack.shape[0], axis=0, dtype=stack.dtype)
        rest = [1] * (stack.shape.rank - 1 - best.shape.rank)
        picked.append(tf.reduce_sum(stack * tf.reshape(chosen, [*chosen.shape, *rest]), axis=0))
    return picked
