"""The attacker's best response to a fixed classifier, Eqs. 9 and 10."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf import losses
from mmtf.arguments import resolve_kwargs
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require_choice, require_seed
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.nets import ATTACK_NETS
from mmtf.threat import ThreatModel

LOSSES = {name: losses.LOSSES[name] for name in ("cross_entropy", "margin")}


class BestResponse(Game):
    """max_v f(u, v) for a fixed defender u by gradient ascent on the network's weights v, Eq. 9.

    Args:
      threat: the constraint of Eq. 5, which the network's output satisfies.
      net: name of the attack network in `mmtf.nets.ATTACK_NETS`.
      net_options: keyword arguments of that net.
      loss: what the attacker maximizes: `cross_entropy` (the paper's risk) or `margin` (the largest
        logit of a wrong class minus that of the label, whose gradient does not vanish where the
        classifier is confident).
      attacker_seed: seed for the network's initial weights, >= 0; different seeds give independent
        restarts.
    """

    trains_classifier = False

    def __init__(
        self,
        threat: ThreatModel,
        *,
        net: str = "mlp",
        net_options: dict | None = None,
        loss: str = "cross_entropy",
        attacker_seed: int = 0,
    ):
        super().__init__(threat)
        require_choice("loss", loss, LOSSES)
        require_seed(attacker_seed, "attacker_seed")
        self.net = net
        without = ("image_shape", "num_classes", "seed")
        self.net_options = resolve_kwargs(net, ATTACK_NETS[net], net_options or {}, without)
        self.loss = loss
        self.attacker_seed = attacker_seed

    @property
    def trains_networks(self) -> bool:
        return True

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        attacker = ATTACK_NETS[self.net](
            self.threat,
            image_shape=image_shape,
            num_classes=num_classes,
            seed=self.attacker_seed,
            **self.net_options,
        )
        classifier = as_classifier(classifier)
        models = {"classifier": classifier.model, "attacker": attacker}
        players = Players(models, {}, classifier)
        players.updaters["attacker"] = make_optimizer(self.trainable(players), player="attacker")
        return players

    def trainable(self, players: Players) -> list[keras.Variable]:
        attacker: keras.Model = players.models["attacker"]
        return attacker.trainable_variables

    def step(self, players: Players, batch: Batch, context: StepContext) -> dict[str, tf.Tensor]:
        given = players.models["attacker"], players.updaters["attacker"]
        _, gains = ascend(*given, players, batch, context, LOSSES[self.loss])
        return {"risk": context.mean(gains)}


def ascend(
    attacker: keras.Model,
    optimizer: Any,
    players: Players,
    batch: Batch,
    context: StepContext,
    loss: losses.Loss = losses.cross_entropy,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of an attack network up the risk of the classifier (Eq. 9).

    Args:
      attacker: the network; its dropout is active.
      optimizer: that of its trainable variables.
      players: the classifier, which is called with training=False.
      batch: the clean images.
      context: of this step.
      loss: (logits, labels) -> [N], what it raises.

    Returns:
      The network's images before the step, [N, H, W, C], and their losses, [N].
    """
    variables = attacker.trainable_variables
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        # Only the attacker's variables: gradients of the classifier's would take time.
        tape.watch([variable.value for variable in variables])
        with context.dropout(attacker):
            z = attacker([batch.x, batch.y], training=True)
        logits = players.classifier(context.shrink(z, batch.x), training=False)
        each = loss(logits, batch.y)
        gain = context.mean(each)
    gradients = tape.gradient(gain, [variable.value for variable in variables])
    optimizer.apply([-gradient for gradient in gradients], variables)
    return tf.stop_gradient(z), tf.stop_gradient(each)
