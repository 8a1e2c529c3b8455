"""The defender's best response to a mixture of frozen attacks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.attacks.base import Attack
from mmtf.attacks.iterated import IteratedAttack
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import require
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.mixtures.frozen import require_frozen
from mmtf.threat import ThreatModel

# Attacks of a smaller probability are left out: they would take time and almost never be drawn.
LEAST = 1e-4
# Folded into the seed of a step for the draw, so that it is independent of random starts.
DRAW_STREAM = 1 << 21


class MixedAttacks(Game):
    """min_u sum_a q_a f(u, z_a): the max step draws one of several frozen attacks per example.

    The nets of attacks frozen on stored nets must not be the model that is trained: its weights
    change.

    Args:
      threat: the ball and the box that the attacks satisfy.
      attacks: functions of (x, y), see `mmtf.mixtures.frozen_attacks`.
      q: float [A], probabilities; those below 1e-4 are left out.

    Raises:
      ConfigError: an attack that queries the classifier, or not a probability for each.
    """

    input_gradients = False

    def __init__(self, threat: ThreatModel, *, attacks: Sequence[Attack], q: Any):
        super().__init__(threat)
        q = np.asarray(q, np.float64)
        good = q.shape == (len(attacks),) and bool((q >= 0).all()) and bool(q.max() > LEAST)
        require(good, f"probabilities of {len(attacks)} attacks", q.tolist())
        for attack in attacks:
            require_frozen(repr(attack), attack)
        kept = np.flatnonzero(q > LEAST)
        self.attacks = tuple(attacks[int(number)] for number in kept)
        self.q = tuple((q[kept] / q[kept].sum()).tolist())

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        own = tf.random.experimental.stateless_fold_in(context.seed, DRAW_STREAM)
        logs = tf.math.log(tf.constant([self.q], tf.float32))
        drawn = tf.random.stateless_categorical(logs, tf.shape(batch.y)[0], own)[0]
        z = batch.x
        for number, attack in enumerate(self.attacks):
            rows = tf.where(drawn == number)[:, 0]
            images, labels = tf.gather(batch.x, rows), tf.gather(batch.y, rows)
            images.set_shape([None, *batch.x.shape[1:]])
            seed = tf.random.experimental.stateless_fold_in(context.seed, number)
            z = tf.tensor_scatter_nd_update(z, rows[:, None], _images(attack, images, labels, seed))
        return Batch(z, batch.y)


def _images(attack: Attack, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The attack's images inside a graph; the steps of PGD are a loop, not copies of one step."""
    inner = attack.attack if isinstance(attack, Transfer) else None
    if not isinstance(inner, IteratedAttack) or inner.stop_early or inner.criterion.targeted:
        return attack(None, x, y, seed=seed)
    assert isinstance(attack, Transfer)
    source, sizes = as_classifier(attack.source).at("float32"), inner.step_sizes()
    state, _ = inner.init(source, x, y, inner.start(x, seed))
    steps = tf.constant(sizes, x.dtype)

    def body(number, state):
        return number + 1, inner.step(source, state, steps[number])[0]

    _, state = tf.while_loop(lambda number, _: number < len(sizes), body, (0, state))
    return inner.result(state)
