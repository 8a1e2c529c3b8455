"""Minimax-Grad: the minimax defense against gradient attacks, section 3.3."""

import contextlib
import math

import tensorflow as tf

from mmtf import losses
from mmtf.errors import require, require_choice
from mmtf.games.base import Game, steepest_attack
from mmtf.kernels.fused_gradients import fused_kernel_gradients
from mmtf.threat import ThreatModel

PENALTIES = ("nested", "fused", "finite_difference")
# Length of the step along dl/dz for `finite_difference`, on the scale of the pixels.
DIFFERENCE_LENGTH = 0.1


class MinimaxGrad(Game):
    """min_u f(u, Z) + gamma (eta / 2N) sum_i ||dl_i / dz_i||^2 with Z = FGSM(X; u), Eq. 8.

    The max step makes Z, the min step descends the penalized risk with Z held constant. The
    penalty's gradient is the term of the total derivative df/du (Eq. 7) that plain adversarial
    training (`LWA`) drops: what the attacker gains by answering the defender's step.

    Args:
      threat: the constraint of Eq. 5; its eta is also the eta of Eq. 8.
      gamma: multiplies the penalty, >= 0; 1 is Eq. 8, 0 is LWA.
      max_steps: steps of the attacker's answer; 1 is FGSM (Eq. 1), as in the paper.
      penalty: `nested` differentiates ||dl/dz||^2 by nested tapes: Eq. 8. `fused` does too, but
        takes the kernels' gradients of risk and penalty in one product, an eighth of the
        arithmetic less; what that adds is of second order in gamma eta dl/dz
        (docs/gradient_games.md measures it).
        `finite_difference` replaces the penalty's gradient by the difference of dl/du along
        dl/dz: the same on smooth nets, another regularizer on nets with ReLU or max-pooling,
        whose kinks it feels too.
      difference_length: ||step||_2 of that difference, > 0.
      penalty_every: k > 0: the second sum is over every k-th example of a batch alone, times N over
        their number. Batches being drawn at random, its mean is Eq. 8's whatever k; 1 is all of
        them. Layers that look at a whole batch (BatchNormalization) see the two parts apart.
    """

    metrics = ("risk", "sensitivity")

    def __init__(
        self,
        threat: ThreatModel,
        *,
        gamma: float = 1.0,
        max_steps: int = 1,
        penalty: str = "nested",
        difference_length: float = DIFFERENCE_LENGTH,
        penalty_every: int = 1,
    ):
        super().__init__(threat)
        require_choice("penalty", penalty, PENALTIES)
        require(0 <= gamma < math.inf, "gamma >= 0, finite", gamma)
        require(difference_length > 0, "difference_length > 0", difference_length)
        require(penalty_every > 0, "penalty_every > 0", penalty_every)
        self.gamma = gamma
        self.max_steps = max_steps
        self.penalty = penalty
        self.difference_length = difference_length
        self.penalty_every = penalty_every
        self.stride = penalty_every
        self._attack = steepest_attack(threat, max_steps)

    def perturb(self, players, x, y, turn):
        return self._attack(players.classifier, x, y), y

    def objective(self, classifier, z, y, turn):
        every = self.penalty_every
        if every == 1 or z.shape[0] == 1:
            return self._penalized(classifier, z, y, turn)
        some = z[::every]
        scale = z.shape[0] / some.shape[0]
        value, metrics = self._penalized(classifier, some, y[::every], turn, scale)
        z, y = (tf.concat([one[k::every] for k in range(1, every)], 0) for one in (z, y))
        others = turn.mean(losses.cross_entropy(classifier(z, training=True), y))
        return value + others, {**metrics, "risk": metrics["risk"] + others}

    def _penalized(self, classifier, z, y, turn, scale=1.0):
        """What these examples add to the objective, their penalty times `scale`, and metrics."""
        fused = self.penalty == "fused"
        opened = fused_kernel_gradients(classifier) if fused else contextlib.nullcontext()
        with opened, tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            each = losses.cross_entropy(classifier(z, training=True), y)
            # The very summand of the objective, which `fused` asks for.
            risk = turn.mean(each)
        sensitivity = turn.global_batch_size * tape.gradient(risk, z)
        factor = self.gamma * self.threat.eta * scale
        squares = tf.reduce_sum(tf.square(sensitivity), list(range(1, sensitivity.shape.rank)))
        term = factor / 2 * turn.mean(squares)
        metrics = {"risk": risk, "sensitivity": term}
        if self.penalty != "finite_difference":
            return risk + term, metrics
        # d/du of this surrogate is [dl/du(z + h d) - dl/du(z)] / h along the constant d = dl/dz,
        # which tends to d/du ||dl/dz||^2 / 2 where l is smooth in z.
        sensitivity = tf.stop_gradient(sensitivity)
        length = tf.stop_gradient(tf.sqrt(squares))
        scale = tf.math.divide_no_nan(self.difference_length, length)
        shifted = z + sensitivity * tf.reshape(scale, [-1] + [1] * (z.shape.rank - 1))
        with turn.randomness(classifier):
            each_there = losses.cross_entropy(classifier(shifted, training=True), y)
        difference = tf.math.divide_no_nan(each_there - each, scale)
        return risk + factor * turn.mean(difference), metrics
