"""FAB: the nearest point across the decision boundary (Croce & Hein 2020b), targeted form."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack, Found, errors_at, gradient_of, per_example, where_per_example
from mmtf.attacks.criteria import wrong_classes_fn
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require


class State(NamedTuple):
    """Of every example; `best` is the nearest misclassified point, inf its distance if none is."""

    x: Tensor
    labels: Tensor
    targets: Tensor
    z: Tensor
    best: Tensor
    distance: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class FAB(Attack):
    """min ||z - x||_p with z misclassified, by linearizing the boundary; FAB-T of AutoAttack.

    For each of the most likely wrong classes in turn: projects the iterate and the clean image
    onto the linearized boundary {z: logit_t(z) = logit_y(z)} within the box, steps a little beyond
    a weighted mean of both, and comes back towards the clean image once it is misclassified. It
    looks for small perturbations, not for a large loss, so small gradients do not stop it.

    Args:
      threat: the ball and the box. An example is done once a misclassified point within the ball
        is found; where none is, the nearest one found is projected onto the ball.
      steps: for each target, > 0.
      targets: how many wrong classes, by their logits at the clean image, > 0; at most all.
      alpha_max: largest weight of the clean image's projection, in (0, 1].
      overshoot: how far beyond the boundary, >= 1.
      beta: how much of a successful perturbation is kept, in (0, 1).

    Source: Croce & Hein (2020b), Algorithm 1.
    """

    compiles_itself = True
    steps: int = 100
    targets: int = 9
    alpha_max: float = 0.1
    overshoot: float = 1.05
    beta: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps > 0, "steps > 0", self.steps)
        require(self.targets > 0, "targets > 0", self.targets)
        require(0 < self.alpha_max <= 1, "0 < alpha_max <= 1", self.alpha_max)
        require(self.overshoot >= 1, "overshoot >= 1", self.overshoot)
        require(0 < self.beta < 1, "0 < beta < 1", self.beta)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        order = wrong_classes_fn(classifier)(x, labels)
        count = min(self.targets, order.shape[1])

        def targets(number, rows):
            return loop.rows_of(order[:, number], rows)

        return loop.restarted(self, classifier, x, labels, seed, count, targets)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, None]:
        far = tf.fill([tf.shape(x)[0]], tf.constant(float("inf"), x.dtype))
        return State(x, labels, targets=start, z=x, best=x, distance=far), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[tuple]:
        return itertools.repeat((), self.steps)

    def result(self, state: State) -> Tensor:
        """The nearest misclassified point; the last iterate where none was found."""
        found = tf.math.is_finite(state.distance)
        return self.threat.project(where_per_example(found, state.best, state.z), state.x)

    def step(self, classifier: Classifier, state: State, settings: tuple) -> tuple[State, Found]:
        x, y, targets, z, best, distance = state
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = tf.cast(classifier(z, training=False), tf.float32)
            own = tf.gather(logits, y, axis=-1, batch_dims=1)
            other = tf.gather(logits, targets, axis=-1, batch_dims=1)
            gap = other - own
            total = tf.reduce_sum(gap)
        normal = gradient_of(tape, total, z)
        # The plane normal . p + offset = 0 through the linearized boundary.
        offset = gap - _dot(normal, z)
        from_z = self._to_plane(z, normal, offset)
        from_x = self._to_plane(x, normal, offset)
        near, far = self._size(from_z), self._size(from_x)
        alpha = tf.minimum(tf.math.divide_no_nan(near, near + far), self.alpha_max)
        alpha = per_example(alpha, z)
        ahead = (z + self.overshoot * from_z) * (1.0 - alpha) + (
            x + self.overshoot * from_x
        ) * alpha
        ahead = self.threat.clip_box(ahead)
        wrong = errors_at(classifier, ahead, y) > 0
        reached = self._size(ahead - x)
        nearer = wrong & (reached < distance)
        best = where_per_example(nearer, ahead, best)
        distance = tf.where(nearer, reached, distance)
        back = (1.0 - self.beta) * x + self.beta * ahead
        state = State(x, y, targets, where_per_example(wrong, back, ahead), best, distance)
        return state, Found(best, distance <= self.threat.eta)

    def _size(self, delta):
        axes = list(range(1, delta.shape.rank))
        if self.threat.norm == "linf":
            return tf.reduce_max(tf.abs(delta), axes)
        return tf.sqrt(tf.reduce_sum(tf.square(delta), axes))

    def _to_plane(self, point, normal, offset):
        """The smallest step from `point` onto {p: normal . p + offset = 0} within the box.

        Pixel i moves by min(t q_i, room_i) towards the plane, with q = 1 (linf) or |normal| (l2):
        t is where sum_i |normal_i| min(t q_i, room_i) makes up for the point's distance. That sum
        is concave and piecewise linear in t, so Newton's iteration from below never passes the
        root and ends on it once no further pixel reaches the box, without sorting them. Out of
        reach: as near as it gets.
        """
        size = tf.reduce_prod(tf.shape(point)[1:])
        flat, w = tf.reshape(point, [-1, size]), tf.reshape(normal, [-1, size])
        missing = offset + tf.reduce_sum(w * flat, 1)
        towards = -tf.sign(missing)[:, None] * tf.sign(w)
        low, high = self.threat.box
        room = tf.where(towards > 0, high - flat, flat - low)
        weight = tf.abs(w)
        speed = tf.ones_like(w) if self.threat.norm == "linf" else weight
        wanted, rate, full = tf.abs(missing), weight * speed, weight * room

        def closer(t, _):
            free = tf.cast(t[:, None] * speed < room, t.dtype)
            left = wanted - tf.reduce_sum(full * (1.0 - free), 1)
            ahead = tf.math.divide_no_nan(left, tf.reduce_sum(rate * free, 1))
            # No pixel is free: the plane is out of reach.
            ahead = tf.where(tf.reduce_any(free > 0, 1), ahead, t)
            return tf.maximum(ahead, t), tf.reduce_any(ahead > t)

        t, _ = tf.while_loop(
            lambda t, moved: moved,
            closer,
            (tf.zeros_like(missing), tf.constant(True)),
            maximum_iterations=size,
        )
        step = tf.minimum(t[:, None] * speed, room)
        return tf.reshape(tf.where(weight > 0, towards * step, 0.0), tf.shape(point))


def _dot(a, b):
    return tf.reduce_sum(a * b, list(range(1, a.shape.rank)))
