"""The inner maximization of TRADES and MART, and balls without a box."""

import dataclasses

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks.iterated import IteratedAttack, State
from mmtf.classifiers.classifier import Classifier
from mmtf.threat import ThreatModel

# Standard deviation of the start, 0.001 for pixels in [0, 1].
START = 0.002
# Far outside of all images.
FAR = 1e6


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class NearbyAscent(IteratedAttack):
    """Steepest ascent from x + 0.002 N(0, I): a start at which KL(p(x) || p(z)) has a gradient.

    Args:
      threat: threat model.
      steps, step_size: see `IteratedAttack`.
      divergence: True: ascend KL(p(x) || p(z)), which needs no label, p being the softmax of the
        logits. False: ascend the cross-entropy of the label.
    """

    deterministic = False
    stop_early: bool = dataclasses.field(default=False, init=False)
    divergence: bool = False

    def start(self, x: Tensor, seed: Tensor) -> Tensor:
        return x + START * tf.random.stateless_normal(tf.shape(x), seed, dtype=x.dtype)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, None]:
        state, found = super().init(classifier, x, labels, start)
        if self.divergence:
            state = state._replace(labels=classifier(x, training=False))
        return state, found

    def maximized(self, logits: Tensor, *labels: Tensor) -> Tensor:
        if self.divergence:
            return losses.kl_divergence(labels[0], logits)
        return super().maximized(logits, *labels)


def without_box(threat: ThreatModel) -> ThreatModel:
    """The same ball in a box that no image reaches: projections to it keep the ball alone.

    Example:
      >>> free = without_box(ThreatModel(eta=0.5))
      >>> print(free.project(tf.constant([[3.0]]), tf.constant([[0.9]])).numpy().round(2))
      [[1.4]]
    """
    return dataclasses.replace(threat, box=(-FAR, FAR))
