"""Training under Gaussian noise, for randomized smoothing."""

import tensorflow as tf

from mmtf.errors import require_int, require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel

# Folded into the seed of a step, so that the noise differs from its other random numbers.
NOISE = 7001


class SmoothGaussian(Game):
    """min_u (1/m) sum_j f(u, X + e_j), e_j ~ N(0, sigma^2 I) (Cohen et al. 2019).

    The classifier that it trains is to be smoothed: `python -m mmtf.smooth` certifies its vote
    under the same noise. Noisy images are not clipped to the box, as they are not in certification.

    Args:
      threat: the constraint of Eq. 5; it has no effect on this game.
      sigma: standard deviation of the noise for pixels in [-1, 1], > 0: twice that of papers, whose
        pixels lie in [0, 1].
      draws: m, number of draws of the noise for each image in a step, > 0.
    """

    input_gradients = False

    def __init__(self, threat: ThreatModel, *, sigma: float = 1.0, draws: int = 1):
        super().__init__(threat)
        require_number("sigma", sigma, above=0)
        require_int("draws", draws)
        self.sigma = sigma
        self.draws = draws

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return batch

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        def repeated(values):
            return tf.tile(values, [self.draws])

        noisy = [perturbed.x + one for one in self.noise(perturbed.x, context)]
        labels, many = repeated(perturbed.y), context.select(repeated)
        logits = players.classifier(tf.concat(noisy, 0), training=True)
        many.observe(logits, labels)
        risk = many.mean(context.cross_entropy(logits, labels)) / self.draws
        return risk, {"risk": risk}

    def noise(self, x: tf.Tensor, context: StepContext) -> list[tf.Tensor]:
        """The draws e_1, ..., e_m of a step, each of the shape of `x`; the same on every call."""
        seed = tf.random.experimental.stateless_fold_in(context.seed, NOISE)
        return [
            self.sigma
            * tf.random.stateless_normal(
                tf.shape(x), tf.random.experimental.stateless_fold_in(seed, number), dtype=x.dtype
            )
            for number in range(self.draws)
        ]
