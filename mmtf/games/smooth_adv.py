"""SmoothAdv: adversarial training of a smoothed classifier."""

import math

import tensorflow as tf

from mmtf.attacks.iterated import IteratedAttack
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int
from mmtf.games.players import Batch, Players, StepContext
from mmtf.games.smooth_gaussian import SmoothGaussian
from mmtf.threat import ThreatModel


class SmoothAdv(SmoothGaussian):
    """min_u (1/m) sum_j f(u, Z + e_j), Z an attack on the mean over the draws.

    The max step maximizes -log((1/m) sum_j softmax h(z + e_j)_y), h the classifier, over the ball
    by T steps of 2 eta / T from the clean images, with the same draws e_j in all steps. The min
    step then trains on all z + e_j of these draws (Salman et al. 2019).

    Args:
      threat: the constraint of Eq. 5; the source has the norm `l2`, in which certificates hold.
      sigma, draws: see `SmoothGaussian`.
      max_steps: T, steps of the inner maximization, > 0.

    The source raises the radius from 0 to eta over 10 epochs (`Schedule.eta_ramp`).
    """

    input_gradients = True
    single_step = False  # its attack is on the mean over the noise

    def __init__(
        self,
        threat: ThreatModel,
        *,
        sigma: float = 1.0,
        draws: int = 2,
        max_steps: int = 4,
    ):
        super().__init__(threat, sigma=sigma, draws=draws)
        require_int("max_steps", max_steps)
        self.max_steps = max_steps
        step_size = 2.0 * threat.radius / max_steps
        self._attack = IteratedAttack(
            threat, steps=max_steps, step_size=step_size, stop_early=False
        )

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        x, inner = batch.x, players.classifier
        # `inner` takes z to the logits at x + strength (z - x), which would shrink the noise too.
        strength = 1.0 if context.strength is None else context.strength
        noise = [one / strength for one in self.noise(x, context)]

        def mean(z: tf.Tensor, training: bool = False) -> tf.Tensor:
            logits = tf.stack([inner(z + one, training=training) for one in noise])
            logs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
            return tf.reduce_logsumexp(logs, 0) - math.log(self.draws)

        return Batch(self._attack(Classifier(mean, precision=None), x, batch.y), batch.y)
