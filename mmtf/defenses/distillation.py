"""Defensive distillation: a student learns a teacher's probabilities at a high temperature."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf import losses
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_number
from mmtf.games.base import Game
from mmtf.games.frozen import FrozenClassifier
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class Distillation(Game):
    """Defensive distillation (Papernot et al. 2016), in two rounds without an attacker.

    With logits a, probabilities p = softmax(a / T) and mean over the batch:

        round 0, the teacher:  min -mean log p_y(x)
        round 1, the student:  min -mean sum_k q_k(x) log p_k(x),  q the teacher's p

    The student starts from the teacher's initial weights and a new optimizer, and sees the teacher
    in inference mode. It is deployed at T = 1: its logits are then about T times those of an
    ordinary net, the gradient of the cross-entropy vanishes in float32, and attacks that use it
    fail. Losses of differences of logits (`apgd` with `dlr`, `carlini_wagner` in l2) show the true
    error.

    The metric `risk` is the cross-entropy that is minimized.

    Args:
      threat: the constraint of Eq. 5; it has no effect on this game.
      temperature: T, > 0; the authors' is 50 or less, by dataset.
    """

    rounds = 1
    smooths_labels = False
    input_gradients = False

    def __init__(self, threat: ThreatModel, *, temperature: float = 50.0):
        super().__init__(threat)
        require_number("temperature", temperature, above=0)
        self.temperature = temperature

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        players.models["initial"] = FrozenClassifier(players.classifier)
        players.models["teacher"] = FrozenClassifier(players.classifier)
        return players

    def begin_round(self, players: Players, number: int) -> None:
        players.models["teacher"].store()
        players.models["initial"].restore()
        super().begin_round(players, number)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return batch

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits = players.classifier(clean.x, training=True)
        context.observe(logits, clean.y)
        scaled = losses.full_precision(logits) / self.temperature
        risk = context.mean(
            tf.nn.softmax_cross_entropy_with_logits(
                labels=self._targets(players, clean, context, scaled), logits=scaled
            )
        )
        return risk, {"risk": risk}

    def _targets(self, players, clean, context, like):
        """q: the labels in round 0, the teacher's probabilities after."""

        def soft():
            logits = players.models["teacher"](clean.x, training=False)
            return tf.nn.softmax(losses.full_precision(logits) / self.temperature)

        hard = tf.one_hot(clean.y, tf.shape(like)[-1], dtype=like.dtype)
        return tf.stop_gradient(tf.cond(context.round > 0, soft, lambda: hard))
