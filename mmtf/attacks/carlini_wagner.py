"""Carlini and Wagner's l2 attack: the smallest perturbation by optimization (2017)."""

import tensorflow as tf

from mmtf.attacks.base import choose, compiled, gradient_of
from mmtf.attacks.criteria import AimedAttack
from mmtf.errors import require

# tanh is not inverted at the very edge of the box, where its inverse is infinite.
EDGE = 1e-6
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class CarliniWagner(AimedAttack):
    """min ||z - x||_2^2 + c max(z_y - max_{i != y} z_i, -confidence), c by bisection.

    z = tanh(w) on the box, w by Adam; each example has its own c, raised until it falls and
    lowered while it does. The nearest misclassified image is kept. With a `target` class t the
    objective is ||z - x||_2^2 + c max(max_{i != t} z_i - z_t, -confidence), and the nearest image
    taken for t is kept.

    Args:
      threat: l2. A result outside the ball is moved into it, and then may not be misclassified.
      steps: of Adam for each c, > 0.
      searches: values of c tried, > 0.
      learning_rate: Adam's, > 0.
      initial_c: the first c, > 0.
      confidence: the margin by which an example must reach the goal, >= 0.
      target: see `mmtf.attacks.criteria.Goal`; None: untargeted.

    Source: Carlini & Wagner (2017), section VI-A with f_6. For l-infinity take their margin loss
    inside PGD: PGD(threat, loss="margin").
    """

    norms = ("l2",)
    compiles_itself = True

    def __init__(
        self,
        threat,
        *,
        steps=200,
        searches=6,
        learning_rate=0.05,
        initial_c=0.1,
        confidence=0.0,
        target=None,
    ):
        super().__init__(threat, target=target)
        require(steps > 0, "steps > 0", steps)
        require(searches > 0, "searches > 0", searches)
        require(learning_rate > 0, "learning_rate > 0", learning_rate)
        require(initial_c > 0, "initial_c > 0", initial_c)
        require(confidence >= 0, "confidence >= 0", confidence)
        self.steps = steps
        self.searches = searches
        self.learning_rate = learning_rate
        self.initial_c = initial_c
        self.confidence = confidence

    def pursue(self, classifier, x, labels, seed):
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(labels)
        if tf.executing_eagerly():
            search = compiled(classifier, (self, "search"), self._search)
            unmoved = compiled(classifier, (self, "unmoved"), self._unmoved)(x, y)
        else:
            unmoved = self._unmoved(classifier, x, y)

            def search(*tensors):
                return self._search(classifier, *tensors)

        count = tf.shape(x)[0]
        low, high = tf.zeros([count]), tf.fill([count], float("inf"))
        c = tf.fill([count], self.initial_c)
        best, distance = x, tf.fill([count], float("inf"))
        for _ in range(self.searches):
            best, distance, fell = search(x, y, c, best, distance)
            low, high = tf.where(fell, low, c), tf.where(fell, c, high)
            c = tf.where(tf.math.is_finite(high), (low + high) / 2.0, 10.0 * c)
        return choose(unmoved, x, self.threat.project(best, x))

    def _unmoved(self, classifier, x, y):
        """bool [N], which images reach the goal where they are."""
        logits = classifier(x, training=False)
        if not self.confidence:
            return self.goal.reached(logits, y)
        return self.goal.loss("margin")(logits, y) > self.confidence

    def _search(self, classifier, x, y, c, best, distance):
        """All steps for one c: (nearest image that reaches the goal, its distance, whether any)."""
        low, high = self.threat.box
        middle, half = (low + high) / 2.0, (high - low) / 2.0
        w = tf.atanh(tf.clip_by_value((x - middle) / half, -1.0 + EDGE, 1.0 - EDGE))
        first, second = tf.zeros_like(w), tf.zeros_like(w)
        fell = tf.zeros_like(c, tf.bool)
        axes = list(range(1, x.shape.rank))

        def body(step, w, first, second, best, distance, fell):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(w)
                z = middle + half * tf.tanh(w)
                squares = tf.reduce_sum(tf.square(z - x), axes)
                logits = classifier(z, training=False)
                margin = self.goal.loss("margin")(logits, y)
                total = tf.reduce_sum(squares - c * tf.minimum(margin, self.confidence))
            wrong = (margin > self.confidence) if self.confidence else margin > 0
            nearer = wrong & (squares < distance)
            best, distance = choose(nearer, z, best), tf.where(nearer, squares, distance)
            fell |= wrong
            gradient = gradient_of(tape, total, w)
            first = BETA_1 * first + (1.0 - BETA_1) * gradient
            second = BETA_2 * second + (1.0 - BETA_2) * tf.square(gradient)
            power = tf.cast(step, tf.float32)
            rate = tf.sqrt(1.0 - BETA_2**power) / (1.0 - BETA_1**power)
            w -= self.learning_rate * rate * first / (tf.sqrt(second) + EPSILON)
            return step + 1, w, first, second, best, distance, fell

        *_, best, distance, fell = tf.while_loop(
            lambda step, *_: step <= self.steps,
            body,
            (tf.constant(1), w, first, second, best, distance, fell),
        )
        return best, distance, fell
