"""FAB: the nearest point across the decision boundary (Croce & Hein 2020b), targeted form."""

import tensorflow as tf

from mmtf.attacks.active_set import Standing
from mmtf.attacks.base import Attack, choose, compiled, errors_at, gradient_of, judge
from mmtf.attacks.restarts import classifier_classes, restarted, wrong_classes
from mmtf.errors import require

TINY = 1e-12


class FAB(Attack):
    """min ||z - x||_p with z misclassified, by linearizing the boundary; FAB-T of AutoAttack.

    For each of the likeliest wrong classes in turn: projects the iterate and the clean image onto
    the linearized boundary {z: logit_t(z) = logit_y(z)} within the box, steps a little beyond a
    mean of both, and comes back towards the clean image once it is across. It looks for small
    perturbations, not for a large loss, so gradients that are small do not stop it.

    Args:
      threat: the ball and the box. An example leaves once a misclassified point within the ball
        is found; where none is, the nearest one found is moved into the ball.
      steps: for each target, > 0.
      targets: how many wrong classes, by their logits at the clean image, > 0; at most all.
      alpha_max: largest weight of the clean image's projection, in (0, 1].
      overshoot: how far beyond the boundary, >= 1.
      beta: how much of a successful perturbation is kept, in (0, 1).

    Source: Croce & Hein (2020b), Algorithm 1.
    """

    compiles_itself = True

    def __init__(self, threat, *, steps=100, targets=9, alpha_max=0.1, overshoot=1.05, beta=0.9):
        super().__init__(threat)
        require(steps > 0, "steps > 0", steps)
        require(targets > 0, "targets > 0", targets)
        require(0 < alpha_max <= 1, "0 < alpha_max <= 1", alpha_max)
        require(overshoot >= 1, "overshoot >= 1", overshoot)
        require(0 < beta < 1, "0 < beta < 1", beta)
        self.steps = steps
        self.targets = targets
        self.alpha_max = alpha_max
        self.overshoot = overshoot
        self.beta = beta

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
        count = min(self.targets, classifier_classes(classifier, x) - 1)
        if not tf.executing_eagerly():
            return self._in_graph(classifier, x, y, count)
        rank = compiled(classifier, "wrong classes by rank", wrong_classes)

        def attempt(x, y, number, start):
            return self._search_and_leave(classifier, x, y, rank(x, y)[:, number])

        wrong = judge(classifier)
        seed = tf.convert_to_tensor(seed)
        return restarted(
            lambda z, y: wrong(z, y) > 0, x, y, seed, count, lambda x, seed: x, attempt
        )

    def _in_graph(self, classifier, x, y, count):
        order = wrong_classes(classifier, x, y)
        result, broken = x, errors_at(classifier, x, y) > 0
        for number in range(count):
            state, kept, found = self._begin(x), x, tf.zeros_like(broken)
            for _ in range(self.steps):
                arguments = (*state, x, y, order[:, number])
                state, within = self._step(classifier, *arguments)
                kept = choose(within & ~found, state[1], kept)
                found |= within
            z = choose(found, kept, self._answer(state, x))
            result = choose(broken, result, z)
            broken |= errors_at(classifier, z, y) > 0
        return result

    def _search_and_leave(self, classifier, x, y, targets):
        step = compiled(classifier, (self, "step"), self._flat_step)
        wrong = judge(classifier)
        standing = Standing(x)
        standing.note(x, wrong(x, y) > 0)
        state = self._begin(x)
        for _ in range(self.steps):
            if not standing.anyone:
                return tf.constant(standing.result)
            *state, x, y, targets = standing.compact(*state, x, y, targets)
            *state, within = step(*state, x, y, targets)
            standing.note(state[1], within)
        return standing.finish(self._answer(state, x))

    def _flat_step(self, classifier, *arguments):
        state, within = self._step(classifier, *arguments)
        return [*state, within]

    def _begin(self, x):
        """(iterate, nearest misclassified point, its distance)."""
        far = tf.fill([tf.shape(x)[0]], tf.constant(float("inf"), x.dtype))
        return x, x, far

    def _answer(self, state, x):
        """The nearest misclassified point, in the ball; the last iterate where none was found."""
        z, best, distance = state
        return self.threat.project(choose(tf.math.is_finite(distance), best, z), x)

    def _step(self, classifier, z, best, distance, x, y, targets):
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
        alpha = _column(alpha, z)
        ahead = (z + self.overshoot * from_z) * (1.0 - alpha) + (
            x + self.overshoot * from_x
        ) * alpha
        ahead = self.threat.clip_box(ahead)
        wrong = errors_at(classifier, ahead, y) > 0
        reached = self._size(ahead - x)
        nearer = wrong & (reached < distance)
        best = choose(nearer, ahead, best)
        distance = tf.where(nearer, reached, distance)
        back = (1.0 - self.beta) * x + self.beta * ahead
        return (choose(wrong, back, ahead), best, distance), distance <= self.threat.eta

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


def _column(values, like):
    return tf.reshape(values, [-1] + [1] * (like.shape.rank - 1))
