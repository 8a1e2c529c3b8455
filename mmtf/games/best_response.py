"""The attacker's best response to a fixed classifier, Eqs. 9 and 10."""

import tensorflow as tf

from mmtf import losses
from mmtf.errors import require, require_choice
from mmtf.games.base import Game, Players
from mmtf.nets import ATTACK_NETS
from mmtf.registry import resolve_kwargs
from mmtf.threat import ThreatModel

LOSSES = {name: losses.LOSSES[name] for name in ("cross_entropy", "margin")}


class BestResponse(Game):
    """max_v f(u, v) for a fixed defender u by gradient ascent on the network's weights v, Eq. 9.

    Args:
      threat: bounds the network's output.
      net: name in `mmtf.nets.ATTACK_NETS`.
      net_options: keyword arguments of that net.
      loss: what the attacker raises, `cross_entropy` (the paper's risk) or `margin` (largest
        wrong logit minus the true one, which does not saturate where the classifier is sure).
      attacker_seed: of the network's initial weights, >= 0: another seed is another restart.
    """

    paper_steps = {"mnist": 30_000, "cifar10": 30_000}

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
        require(attacker_seed >= 0, "attacker_seed >= 0", attacker_seed)
        self.net = net
        without = ("image_shape", "num_classes", "seed")
        self.net_options = resolve_kwargs(net, ATTACK_NETS[net], net_options or {}, without)
        self.loss = loss
        self.attacker_seed = attacker_seed

    def make_players(self, classifier, make_optimizer, image_shape, num_classes, seed=0):
        attacker = ATTACK_NETS[self.net](
            self.threat,
            image_shape=image_shape,
            num_classes=num_classes,
            seed=self.attacker_seed,
            **self.net_options,
        )
        optimizer = make_optimizer(attacker.trainable_variables)
        return Players({"classifier": classifier, "attacker": attacker}, {"attacker": optimizer})

    def step(self, players, x, y, turn):
        attacker = players.models["attacker"]
        variables = attacker.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # The attacker's variables alone: no gradient of the classifier's is worth its time.
            tape.watch([variable.value for variable in variables])
            with turn.randomness(attacker):
                z = attacker([x, y], training=True)
            logits = players.classifier(z, training=False)
            gain = turn.mean(LOSSES[self.loss](logits, y))
        gradients = tape.gradient(gain, [variable.value for variable in variables])
        players.optimizers["attacker"].apply([-gradient for gradient in gradients], variables)
        return {"risk": gain}
