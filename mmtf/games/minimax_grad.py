"""Minimax-Grad: the minimax defense against gradient attacks, section 3.3."""

import contextlib
import warnings

import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require, require_choice, require_int, require_number
from mmtf.games.base import Game, steepest_attack
from mmtf.games.players import Batch, Players, StepContext
from mmtf.kernels.fused_gradients import fused_kernel_gradients
from mmtf.threat import ThreatModel

PENALTIES = ("nested", "fused", "finite_difference")
# L2 norm of the step along dl/dz for `finite_difference`, on the scale [-1, 1] of the pixels.
DIFFERENCE_LENGTH = 0.1


class MinimaxGrad(Game):
    """min_u f(u, Z) + gamma (eta / 2N) sum_i ||dl_i / dz_i||^2 with Z = FGSM(X; u), Eq. 8.

    The max step computes Z; the min step descends the penalized risk with Z held constant. The
    gradient of the penalty is the term of the total derivative df/du (Eq. 7) that plain adversarial
    training (`LWA`) omits: how the attacker's gain changes with the defender's step. Gradients in
    z, and so the penalty, are on the scale of the box [-1, 1], also for a model with another pixel
    range.

    Args:
      threat: the constraint of Eq. 5; its eta is also the eta of Eq. 8. Where it is an array, the
        penalty is gamma / 2N sum_i sum_k eta_k (dl_i / dz_ik)^2, as Eq. 8 follows from a step
        z_k = x_k + eta_k dl/dx_k of each value (Eq. 3).
      gamma: multiplies the penalty, >= 0; 1 is Eq. 8, 0 is LWA.
      max_steps: steps of the inner maximization, > 0; 1 is FGSM (Eq. 1), as in the paper.
      penalty: how the penalty is differentiated. `nested` differentiates ||dl/dz||^2 exactly, by
        nested tapes (Eq. 8). `finite_difference` replaces the penalty's gradient by the finite
        difference of dl/du along dl/dz: the same on smooth nets, but another regularizer on nets
        with ReLU or max-pooling, whose kinks also contribute. `fused`, deprecated, is `nested` with
        the kernel gradients of risk and penalty computed in one product, which adds an error of
        second order in gamma eta dl/dz; `penalty_every` saves more time and is unbiased.
      difference_length: L2 norm of the step of `finite_difference`, > 0.
      penalty_every: k > 0: the penalty is computed on every k-th example of a batch only, and
        multiplied by N divided by the number of these examples. Batches are drawn at random, so the
        expectation of the penalty is that of Eq. 8 for every k. Layers that combine the examples of
        a batch (BatchNormalization) are called on the two parts separately.
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
        require_number("gamma", gamma, at_least=0)
        require_number("difference_length", difference_length, above=0)
        require_int("penalty_every", penalty_every)
        self.gamma = gamma
        self.max_steps = max_steps
        self.penalty = penalty
        self.difference_length = difference_length
        self.penalty_every = penalty_every
        self.batch_divisor = penalty_every
        if penalty == "fused":
            warnings.warn(
                "penalty='fused' is deprecated and will be removed. Use penalty='nested' with "
                "penalty_every=2, which takes less time and is unbiased.",
                DeprecationWarning,
                stacklevel=2,
            )
        self._attack = steepest_attack(threat, max_steps)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return Batch(self._attack(players.classifier, batch.x, batch.y), batch.y)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        (z, y), every = perturbed, self.penalty_every
        if every == 1 or z.shape[0] == 1:
            return self._penalized(players, z, y, context)
        own = context.select(lambda one: one[::every])
        value, metrics = self._penalized(players, z[::every], y[::every], own, _share(z, every))

        def remaining(one):
            return tf.concat([one[k::every] for k in range(1, every)], 0)

        z, y, rest = remaining(z), remaining(y), context.select(remaining)
        logits = players.classifier(z, training=True)
        rest.observe(logits, y)
        others = rest.mean(context.cross_entropy(logits, y))
        return value + others, {**metrics, "risk": metrics["risk"] + others}

    def _penalized(self, players, z, y, context, scale=1.0):
        """(risk + `scale` times the penalty of these examples, metrics)."""
        classifier, model = players.classifier, players.models["classifier"]
        fused = self.penalty == "fused"
        opened = fused_kernel_gradients(model) if fused else contextlib.nullcontext()
        with opened:
            tape, each, risk, mean_loss = watched_losses(classifier, z, y, context)
        require(
            context.weights is None or not fused,
            "penalty='nested' for weights of examples",
            self.penalty,
        )
        sensitivity = context.global_batch_size * tape.gradient(mean_loss, z)
        factor = self.gamma * self.threat.radius * scale
        if context.strength is not None:
            factor *= context.strength
        weights, axes = self.threat.weights, list(range(1, sensitivity.shape.rank))
        # With an array eta sum_i eta_i g_i^2 = max(eta) ||sqrt(weights) g||^2.
        weighted = not isinstance(self.threat.eta, float)
        root = sensitivity * weights**0.5 if weighted else sensitivity
        squares = tf.reduce_sum(tf.square(root), axes)
        term = factor / 2 * context.mean(squares)
        metrics = {"risk": risk, "sensitivity": term}
        if self.penalty != "finite_difference":
            return risk + term, metrics
        # d/du of this surrogate is [dl/du(z + h d) - dl/du(z)] / h along the constant d = dl/dz,
        # which tends to d/du ||dl/dz||^2 / 2 where l is smooth in z.
        direction = tf.stop_gradient(sensitivity)
        if weighted:
            direction *= weights
            squares = tf.reduce_sum(tf.square(direction), axes)
        length = tf.stop_gradient(tf.sqrt(squares))
        scale = tf.math.divide_no_nan(self.difference_length, length)
        shifted = z + direction * tf.reshape(scale, [-1] + [1] * (z.shape.rank - 1))
        with context.dropout(model):
            each_there = context.cross_entropy(classifier(shifted, training=True), y)
        difference = tf.math.divide_no_nan(each_there - each, scale)
        return risk + factor * context.mean(difference), metrics


def watched_losses(
    classifier: Classifier, z: tf.Tensor, y: tf.Tensor, context: StepContext
) -> tuple[tf.GradientTape, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The losses of perturbed images, on a tape that gives their gradients in the images.

    Args:
      classifier: the defender; its dropout is active.
      z: perturbed images, [N, H, W, C].
      y: labels, int [N].
      context: of this step.

    Returns:
      (tape, losses [N], risk, mean loss). The global batch size times the gradient of the mean loss
      in z is dl_i / dz_i. It has no weights of examples, which the risk has: k copies of an example
      have k times its square, not k^3.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(z)
        logits = classifier(z, training=True)
        context.observe(logits, y)
        each = context.cross_entropy(logits, y)
        # `fused` requires the differentiated tensor to be itself a summand of the objective.
        risk = mean_loss = context.mean(each)
        if context.weights is not None:
            mean_loss = tf.reduce_sum(each) / context.global_batch_size
    return tape, each, risk, mean_loss


def _share(z, every):
    """Number of examples divided by the number that z[::every] has."""
    size = z.shape[0]
    if size is not None:
        return size / -(-size // every)
    size = tf.shape(z)[0]
    return tf.cast(size / -(-size // every), tf.float32)
