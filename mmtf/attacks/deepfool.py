"""DeepFool: steps onto the nearest linearized class boundary (Moosavi-Dezfooli et al. 2016)."""

import tensorflow as tf

from mmtf.attacks.active_set import Standing
from mmtf.attacks.base import Attack, choose, compiled, errors_at, gradient_of, judge
from mmtf.errors import require

TINY = 1e-12


class DeepFool(Attack):
    """Moves each image over the nearest of its linearized class boundaries until it crosses one.

    Crossed counts in the ball: beyond it the image, moved back, may be right, and the steps go on.

    For the class k that minimizes |f_k - f_y| / ||w_k||_q, with f the logits, w_k the gradient of
    f_k - f_y and q the dual norm, adds the smallest step that reaches f_k = f_y, from the iterate.

    Args:
      threat: the ball and the box; a result outside the ball is moved into it, and then may not
        be misclassified: the attack looks for small perturbations, not for the largest loss.
      steps: at most, > 0.
      overshoot: how far beyond the boundary, >= 0.

    Source: Moosavi-Dezfooli et al. (2016), Algorithm 2 and section 3.2 for other norms.
    """

    compiles_itself = True

    def __init__(self, threat, *, steps=50, overshoot=0.02):
        super().__init__(threat)
        require(steps > 0, "steps > 0", steps)
        require(overshoot >= 0, "overshoot >= 0", overshoot)
        self.steps = steps
        self.overshoot = overshoot

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
        if not tf.executing_eagerly():
            return self._in_graph(classifier, x, y)
        step, wrong = compiled(classifier, (self, "step"), self._step), judge(classifier)
        standing = Standing(x)
        standing.note(x, wrong(x, y) > 0)
        moved = tf.zeros_like(x)
        for _ in range(self.steps):
            if not standing.anyone:
                return tf.constant(standing.result)
            x, y, moved = standing.compact(x, y, moved)
            moved, z, crossed = step(x, y, moved)
            standing.note(z, crossed)
        return standing.finish(self._answer(x, moved))

    def _in_graph(self, classifier, x, y):
        broken = errors_at(classifier, x, y) > 0
        kept, moved = x, tf.zeros_like(x)
        for _ in range(self.steps):
            moved, z, crossed = self._step(classifier, x, y, moved)
            kept = choose(crossed & ~broken, z, kept)
            broken |= crossed
        return choose(broken, kept, self._answer(x, moved))

    def _answer(self, x, moved):
        return self.threat.project(x + (1.0 + self.overshoot) * moved, x)

    def _step(self, classifier, x, y, moved):
        """(perturbation so far, the image it gives, whether that is misclassified)."""
        # Where the answer so far lies, as in the authors' code: from x + moved each further step
        # would cover the overshoot a second time.
        z = self.threat.clip_box(x + (1.0 + self.overshoot) * moved)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = tf.cast(classifier(z, training=False), tf.float32)
            own = tf.gather(logits, y, axis=-1, batch_dims=1)
            gaps = logits - own[:, None]
            totals = [tf.reduce_sum(gaps[:, k]) for k in range(logits.shape[-1])]
        normals = tf.stack([gradient_of(tape, total, z) for total in totals], 1)  # [N, C, H, W, C']
        flat = tf.reshape(normals, [tf.shape(normals)[0], logits.shape[-1], -1])
        if self.threat.norm == "linf":
            dual = tf.reduce_sum(tf.abs(flat), -1)
        else:
            dual = tf.sqrt(tf.reduce_sum(tf.square(flat), -1))
        true = tf.one_hot(y, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
        distance = tf.where(true, float("inf"), tf.abs(gaps) / (dual + TINY))
        nearest = tf.argmin(distance, 1, tf.int32)
        length = tf.gather(distance, nearest, axis=1, batch_dims=1)
        normal = tf.gather(normals, nearest, axis=1, batch_dims=1)
        # A hair more than the distance, so that a linear boundary is crossed and not just met.
        length = tf.reshape(length * (1.0 + 1e-4) + 1e-6, [-1] + [1] * (x.shape.rank - 1))
        moved = moved + length * self.threat.steepest_step(normal)
        answer = self._answer(x, moved)
        return moved, answer, errors_at(classifier, answer, y) > 0
