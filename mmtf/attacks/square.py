"""Square: black-box attack by random search over squares (Andriushchenko et al. 2020)."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks.base import Found
from mmtf.attacks.criteria import TargetableAttack
from mmtf.attacks.queries import program, where_per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int, require_number

# The share p of changed pixels is halved after each of these queries, for 10,000 queries in all.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
SMALLEST_L2 = 3
# The number of examples of a query is rounded up to a multiple of this.
SIZES = 8
TINY = 1e-12


class State(NamedTuple):
    """Clean image, label (or target), best point so far and its objective; tensors [N, ...]."""

    x: Tensor
    labels: Tensor
    z: Tensor
    best: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class Square(TargetableAttack):
    """Adds random squares of +-eta (linf) or bumps (l2), and keeps those that raise the margin.

    This black-box attack uses logits and no gradients: if it beats a gradient-based attack, the
    classifier masks its gradients. All examples of a batch try the same squares, each from its own
    starting point.

    Args:
      threat: threat model.
      steps: number of queries per example, > 0.
      p: share of the pixels in the first square, in (0, 1].
      target: target class, see `mmtf.attacks.criteria.Criterion`; None: untargeted. An untargeted
        attack maximizes the margin, a targeted one minimizes the target's cross-entropy.

    Source: Andriushchenko et al. (2020), Algorithms 1 to 3.
    """

    deterministic = False
    compiles_itself = True
    steps: int = 5000
    p: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("steps", self.steps)
        require_number("p", self.p, above=0, at_most=1)

    def passes(self, classes: int) -> float:
        return float(self.steps)

    def share(self, step: int) -> float:
        """The share of pixels that query `step`, counted from 1, changes."""
        scaled = 10_000 * (step - 1) // self.steps
        return self.p / 2 ** sum(scaled > bound for bound in HALVINGS)

    def side(self, step: int, shape: tuple) -> int:
        """Side length in pixels of the square of query `step`, for images of shape (H, W, C)."""
        height, width = shape[0], shape[1]
        side = max(int(round(float(np.sqrt(self.share(step) * height * width)))), 1)
        if self.threat.norm == "l2":
            side = max(side, SMALLEST_L2) | 1  # odd, so that its center is a pixel
        return min(side, height, width)

    def start(self, x: Tensor, seed: Tensor) -> Tensor:
        """Starting points: columns of +-eta (linf), or a tiling of bumps of random sign (l2)."""
        shape = tf.shape(x)
        if self.threat.norm == "linf":
            signs = _signs([shape[0], 1, shape[2], shape[3]], seed)
            return self.threat.project(x + self.threat.radius * signs, x)
        height, width, channels = x.shape[1:]
        side = max(min(height, width) // 5, 1)
        rows, columns = height // side, width // side
        down, across = height - rows * side, width - columns * side
        border = [[down // 2, down - down // 2], [across // 2, across - across // 2]]
        signs = _signs([shape[0], rows, columns, channels], seed)
        turned = tf.random.stateless_uniform([1, rows, columns, 1], seed + 1) < 0.5
        signs, turned = (tf.repeat(tf.repeat(one, side, 1), side, 2) for one in (signs, turned))
        upright, lying = (
            np.tile(one, (rows, columns))[:, :, None] for one in (_bump(side), _bump(side).T)
        )
        bumps = signs * tf.where(turned, lying, upright)
        return self._scaled(x, tf.pad(bumps, [[0, 0], *border, [0, 0]]))

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, Found]:
        evaluate = program(classifier, (self.key(), "evaluate"), self._evaluate)
        best = evaluate(start, labels)
        return State(x, labels, start, best), Found(start, best > 0)

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[tuple]:
        """Yields the settings of each query.

        Yields:
          seed: int [2], seed of the query.
          side: side length of the square in pixels.
          bump: float32 [H, W], the bump in the top left corner of an image; zeros for linf.
        """
        height, width = x.shape[1:3]
        for step in range(1, self.steps + 1):
            side = self.side(step, x.shape[1:])
            bump = _placed_bump(side, height, width, self.threat.norm)
            own = tf.random.experimental.stateless_fold_in(seed, step)
            yield own, tf.constant(side), tf.constant(bump)

    def step(self, classifier: Classifier, state: State, settings: tuple) -> tuple[State, Found]:
        """One query of every example not yet successfully attacked."""
        candidate = self._candidate(state.x, state.z, *settings)
        return _kept(state, candidate, self._evaluate(classifier, candidate, state.labels))

    def lean_step(
        self, classifier: Classifier, state: State, settings: tuple
    ) -> tuple[State, Found]:
        """`step`, without the queries that equal the best point so far.

        In linf a square changes nothing where its pixels already are on that side of the ball,
        which is half of all squares of one pixel.
        """
        candidate = self._candidate(state.x, state.z, *settings)
        differs = tf.reduce_any(candidate != state.z, list(range(1, candidate.shape.rank)))
        rows = tf.where(differs & (state.best <= 0))[:, 0]
        count, size = tf.size(rows), tf.shape(candidate)[0]
        # Few batch sizes, because the first query of each takes longer.
        some = tf.maximum(tf.minimum(-(-count // SIZES) * SIZES, size), 1)
        asked = tf.pad(rows, [[0, some - count]])
        points, labels = tf.gather(candidate, asked), tf.gather(state.labels, asked)
        value = self._evaluate(classifier, points, labels)[:count]
        value = tf.tensor_scatter_nd_update(state.best, rows[:, None], value)
        return _kept(state, candidate, value)

    def _evaluate(self, classifier, z, labels):
        return self._value(classifier(z, training=False), labels)

    def _value(self, logits, labels):
        """Objective to maximize, [N]; > 0 exactly where the attack succeeds."""
        margin = self.criterion.loss("margin")(logits, labels)
        if not self.criterion.targeted:
            return margin
        return tf.where(margin > 0, margin, -losses.cross_entropy(logits, labels))

    def _candidate(self, x, z, seed, side, bump):
        height, width, channels = x.shape[1:]
        draw = tf.random.stateless_uniform([4], seed)
        room = tf.cast(tf.stack([height - side, width - side] * 2) + 1, tf.float32)
        corner = tf.cast(draw * room, tf.int32)
        here = _window(height, width, corner[0], corner[1], side)
        signs = _signs([1, 1, 1, channels], seed + 1)
        if self.threat.norm == "linf":
            return self.threat.project(z + 2.0 * self.threat.radius * signs * here, x)
        there = _window(height, width, corner[2], corner[3], side)
        turned = tf.random.stateless_uniform([], seed + 2) < 0.5
        bump = tf.where(turned, tf.transpose(bump), bump) if height == width else bump
        bump = tf.roll(bump, corner[:2], [0, 1])[None, :, :, None]
        return self._move_mass(z, x, here, there, signs * bump)

    def _move_mass(self, z, x, here, there, bump):
        """Algorithm 3: moves the l2 budget spent in window `there` to window `here`."""
        delta = z - x
        channels = delta.shape[-1]
        inside = _length(delta * here, [1, 2])
        both = _length(delta * tf.maximum(here, there), [1, 2])
        unspent = tf.maximum(self.threat.radius**2 - _length(delta, [1, 2, 3]) ** 2, 0.0)
        new = bump + delta * here / (inside + TINY)
        new *= tf.sqrt(unspent / channels + both**2) / (_length(new, [1, 2]) + TINY)
        return self._scaled(x, delta * (1.0 - here) * (1.0 - there) + new * here)

    def _scaled(self, x, delta):
        """Projects x + eta delta / ||delta||_2 onto the ball and the box."""
        length = _length(delta, [1, 2, 3])
        return self.threat.project(x + self.threat.radius * delta / (length + TINY), x)


def _kept(state, candidate, value):
    """The state after a query, with the candidates of a higher objective, and its Found."""
    better = (value > state.best) & (state.best <= 0)
    z = where_per_example(better, candidate, state.z)
    best = tf.where(better, value, state.best)
    return state._replace(z=z, best=best), Found(z, best > 0)


def _signs(shape, seed):
    draw = tf.random.stateless_uniform(shape, seed)
    return tf.where(draw < 0.5, -1.0, 1.0)


def _length(delta, axes):
    return tf.sqrt(tf.reduce_sum(tf.square(delta), axes, keepdims=True))


def _window(height, width, top, left, side):
    """Mask of a square, [1, H, W, 1]: 1 inside, 0 outside."""
    rows, columns = tf.range(height), tf.range(width)
    down = (rows >= top) & (rows < top + side)
    across = (columns >= left) & (columns < left + side)
    return tf.cast(down[:, None] & across[None, :], tf.float32)[None, :, :, None]


@functools.cache
def _placed_bump(side, height, width, norm):
    """The bump in the top left corner of an image, [H, W]; zeros for linf."""
    placed = np.zeros([height, width], np.float32)
    if norm == "l2":
        placed[:side, :side] = _bump(side)
    return placed


@functools.cache
def _bump(side):
    """The pattern eta of Algorithm 3: two adjacent pyramids of opposite sign; l2 norm 1."""
    upper = side // 2
    bump = np.concatenate([_pyramid(upper, side), -_pyramid(side - upper, side)])
    return (bump / max(np.linalg.norm(bump), TINY)).astype(np.float32)


def _pyramid(height, width):
    """Sum over k of 1 / (k + 1)^2 on centered rectangles of half-width k; l2 norm 1."""
    pyramid = np.zeros([height, width])
    if not pyramid.size:
        return pyramid
    top, left = height // 2, width // 2
    for k in range(max(top, left) + 1):
        rows = slice(max(top - k, 0), min(top + k + 1, height))
        columns = slice(max(left - k, 0), min(left + k + 1, width))
        pyramid[rows, columns] += 1.0 / (k + 1) ** 2
    return pyramid / np.linalg.norm(pyramid)
