"""Which attackers the defender of the union game answers: the rules, and what they remember."""

import tensorflow as tf
from tensorflow import Tensor

RULES = ("example_max", "batch_max", "average", "drawn", "weights")
# The rule `weights` multiplies the weight of an attacker by exp(RATE risk) in each step, in nats.
RATE = 0.1
# Each weight keeps this share of 1 / K: one that is 0 would stay 0.
FLOOR = 0.1


class Tally(tf.Module):
    """The weights and the latest risks of K attackers; a checkpoint saves them.

    Make it inside the strategy's scope.

    Args:
      count: K, the number of attackers.
      seed: of the draws of the rule `drawn`.

    Attributes:
      weights: float32 [K], > 0, their sum is 1.
      risks: float32 [K], each attacker's risk f(u, Z_k) where it was last computed.
    """

    def __init__(self, count: int, seed: int):
        super().__init__()
        self.seed = seed
        self.weights = _variable([1.0 / count] * count)
        self.risks = _variable([0.0] * count)

    def draw(self, step: Tensor) -> Tensor:
        """The attacker drawn in a step, the same on all replicas: int32 scalar in [0, K).

        Args:
          step: number of the step, an integer scalar.
        """
        count = self.weights.shape[0]
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        return tf.random.stateless_uniform([], seed, 0, count, tf.int32)

    def note(self, risks: Tensor, known: Tensor | None = None) -> None:
        """Keeps the latest risks.

        Args:
          risks: float32 [K], sums over the replicas.
          known: bool [K], which of them were computed; None: all.
        """
        self.risks.assign(risks if known is None else tf.where(known, risks, self.risks))

    def reweigh(self, risks: Tensor) -> None:
        """Multiplies the weights by exp(RATE risk) and keeps their floor, see `reweighed`."""
        self.weights.assign(reweighed(self.weights, risks))


def reweighed(weights: Tensor, risks: Tensor) -> Tensor:
    """The weights times exp(RATE risk), normalized, of which none falls below FLOOR / K.

    It is the multiplicative-weights update of the mixed attacker, who maximizes the risk of the
    mixture of attackers: against it the defender descends sum_k w_k f(u, Z_k). What is above the
    floor is scaled so that the sum stays 1.

    Args:
      weights: float32 [K], > 0, their sum is 1.
      risks: float32 [K].

    Example:
      >>> print(reweighed(tf.constant([0.5, 0.5]), tf.constant([1.0, 1.0])).numpy().round(2))
      [0.5 0.5]
    """
    # The softmax of sums of logarithms does not overflow for any risk.
    raised = tf.nn.softmax(tf.math.log(weights) + RATE * risks)
    lowest = FLOOR / weights.shape[0]
    above = tf.maximum(raised - lowest, 0.0)
    return lowest + (1.0 - FLOOR) * above / tf.reduce_sum(above)


def chosen_by(rule: str, losses: Tensor, risks: Tensor) -> Tensor:
    """The number of the attacker that each example is answered to: int32 [N].

    `example_max` takes the greatest loss of each example, `batch_max` the attacker of greatest risk
    (the inner maximum of Eq. 20) for all examples. E max_k >= max_k E: the risk that `example_max`
    descends bounds that of Eq. 20 from above. Of equal ones the first is taken.

    Args:
      rule: `example_max` or `batch_max`.
      losses: float32 [K, N], of this replica's examples.
      risks: float32 [K], over the examples of all replicas.
    """
    if rule == "example_max":
        return tf.argmax(losses, 0, tf.int32)
    return tf.fill(tf.shape(losses)[1:], tf.argmax(risks, output_type=tf.int32))


def _variable(values):
    kept = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(values, dtype=tf.float32, trainable=False, aggregation=kept)
