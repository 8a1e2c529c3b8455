"""Projected gradient descent on the negative loss (Madry et al. 2018)."""

import tensorflow as tf

from mmtf.attacks.iterated import IteratedAttack
from mmtf.errors import require


class PGD(IteratedAttack):
    """Steepest ascent from random starts in the ball; restarts on the examples still standing.

    The image itself is not among the iterates; `worst` of mmtf.evaluate counts it.

    Args:
      threat: the ball and the box.
      steps: of each restart, > 0.
      step_size: of the first step; default 2.5 eta in all.
      decay: see `IteratedAttack`.
      restarts: random starts tried in turn, > 0. Run eagerly, a later one is spent only on
        examples that have not reached the goal by all earlier ones. In a graph it must be 1.
      loss, target: see `IteratedAttack`.
      stop_early: see `IteratedAttack`; restarts > 1 need it.
    """

    deterministic = False

    def __init__(
        self,
        threat,
        *,
        steps=40,
        step_size=None,
        decay="constant",
        restarts=1,
        loss="cross_entropy",
        stop_early=True,
        target=None,
    ):
        super().__init__(
            threat,
            steps=steps,
            step_size=step_size,
            decay=decay,
            loss=loss,
            stop_early=stop_early,
            target=target,
        )
        require(restarts > 0, "restarts > 0", restarts)
        require(restarts == 1 or stop_early, "stop_early=True with restarts > 1", stop_early)
        self.restarts = restarts

    def start(self, x, seed):
        return self.threat.random_start(x, seed)

    def pursue(self, classifier, x, labels, seed):
        seed = tf.convert_to_tensor(seed)
        z = super().pursue(classifier, x, labels, seed)
        if self.restarts == 1:
            return z
        require(tf.executing_eagerly(), "restarts=1 inside a tf.function", self.restarts)
        reached = self.goal.judge(classifier)
        for restart in range(1, self.restarts):
            standing = tf.where(~reached(z, labels))[:, 0]
            if not len(standing):
                break
            again = super().pursue(
                classifier,
                tf.gather(x, standing),
                tf.gather(labels, standing),
                tf.random.experimental.stateless_fold_in(seed, restart),
            )
            z = tf.tensor_scatter_nd_update(z, standing[:, None], again)
        return z
