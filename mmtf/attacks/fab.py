"""FAB-T: minimal perturbations by linearized decision boundaries (Croce & Hein 2020b)."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack, Found
from mmtf.attacks.criteria import wrong_classes_fn
from mmtf.attacks.queries import errors_at, gradient_of, inner, per_example, where_per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int, require_number


class State(NamedTuple):
    """State of each example; tensors [N, ...].

    Attributes:
      x: the clean image.
      labels: the true label.
      targets: the target class.
      z: the iterate.
      best: the nearest misclassified point so far; `x` while there is none.
      distance: ||best - x||_p; inf while there is none.
    """

    x: Tensor
    labels: Tensor
    targets: Tensor
    z: Tensor
    best: Tensor
    distance: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class FAB(Attack):
    """Minimizes ||z - x||_p over misclassified z by linearizing the boundary (AutoAttack's FAB-T).

    The targets are the wrong classes with the largest logits at the clean image, attacked one
    after the other. Each step projects the iterate and the clean image onto the linearized
    boundary {z: f_t(z) = f_y(z)} within the box, with f the logits, and moves slightly beyond a
    weighted mean of the two projections. If the new point is misclassified, the iterate moves back
    towards the clean image. The attack searches for a small perturbation, not for a large loss, so
    small gradients do not stop it.

    Args:
      threat: threat model. An example is finished once a misclassified point within the ball is
        found; if there is none, the nearest one found is projected onto the ball.
      steps: steps for each target, > 0.
      targets: number of target classes, > 0; capped at the number of wrong classes.
      alpha_max: largest weight of the clean image's projection, in (0, 1].
      overshoot: factor of the steps onto the boundary, >= 1; above 1 they cross it.
      beta: share of the perturbation kept after a success, in (0, 1).

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
        require_int("steps", self.steps)
        require_int("targets", self.targets)
        require_number("alpha_max", self.alpha_max, above=0, at_most=1)
        require_number("overshoot", self.overshoot, at_least=1)
        require_number("beta", self.beta, above=0, below=1)

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

    def passes(self, classes: int) -> float:
        return 4.0 * self.steps * min(self.targets, classes - 1)

    def result(self, state: State) -> Tensor:
        """The nearest misclassified point, or the last iterate if there is none; in the ball."""
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
        offset = gap - inner(normal, z)
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
        return state, Found(best, distance <= self.threat.radius)

    def _size(self, delta):
        axes = list(range(1, delta.shape.rank))
        if self.threat.norm == "linf":
            # Where eta is 0 no step goes, and 0 / 0 counts as 0.
            return tf.reduce_max(tf.math.divide_no_nan(tf.abs(delta), self.threat.weights), axes)
        return tf.sqrt(tf.reduce_sum(tf.square(delta), axes))

    def _to_plane(self, point, normal, offset):
        """The smallest step from `point` onto {p: normal . p + offset = 0} within the box.

        Pixel i moves by min(t q_i, room_i) towards the plane, with q = 1 (linf; with an array eta
        its weights) or |normal| (l2) and room_i its distance to the edge of the box. t solves
        sum_i |normal_i| min(t q_i, room_i) = |normal . point + offset|. The sum is concave and
        piecewise linear in t, so Newton's method started at 0 never exceeds the root, and reaches
        it exactly once no further pixel meets the box; pixels need not be sorted. If the plane
        does not intersect the box, the step leads as near to it as the box allows.
        """
        size = tf.reduce_prod(tf.shape(point)[1:])
        flat, w = tf.reshape(point, [-1, size]), tf.reshape(normal, [-1, size])
        missing = offset + tf.reduce_sum(w * flat, 1)
        towards = -tf.sign(missing)[:, None] * tf.sign(w)
        low, high = self.threat.box
        room = tf.where(towards > 0, high - flat, flat - low)
        weight = tf.abs(w)
        speed = weight
        if self.threat.norm == "linf":
            speed = tf.reshape(tf.ones_like(point) * self.threat.weights, [-1, size])
        wanted, rate, full = tf.abs(missing), weight * speed, weight * room

        def closer(t, _):
            free = t[:, None] * speed < room
            left = wanted - tf.reduce_sum(tf.where(free, 0.0, full), 1)
            ahead = tf.math.divide_no_nan(left, tf.reduce_sum(tf.where(free, rate, 0.0), 1))
            # No pixel can move further: the plane does not intersect the box.
            ahead = tf.where(tf.reduce_any(free, 1), ahead, t)
            return tf.maximum(ahead, t), tf.reduce_any(ahead > t)

        t, _ = tf.while_loop(
            lambda t, moved: moved,
            closer,
            (tf.zeros_like(missing), tf.constant(True)),
            maximum_iterations=size,
        )
        step = tf.minimum(t[:, None] * speed, room)
        return tf.reshape(tf.where(weight > 0, towards * step, 0.0), tf.shape(point))
