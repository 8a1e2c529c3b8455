"""Label smoothing in games: of the loss of the min step, not of the attack."""

import pytest
import tensorflow as tf
import tiny

from mmtf import losses
from mmtf.config import Schedule
from mmtf.data import Batches
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.training.monitor import refuse_options
from mmtf.training.trainer import Trainer

SMOOTHING = 0.3


@pytest.mark.parametrize("game", ["undefended", "lwa", "minimax_grad", "input_gradient"])
def test_the_first_risk_is_the_smoothed_one_of_the_usual_attack(game):
    data, net = tiny.tiny_data(), tiny.tiny_net()
    x, y = tf.constant(data.train_images), tf.constant(data.train_labels)
    made = GAMES[game](tiny.THREAT)
    clean = game in ("undefended", "input_gradient")
    z = x if clean else made._attack(lambda x, training: net(x), x, y)
    expected = tf.reduce_mean(losses.smoothed_cross_entropy(net(z), y, SMOOTHING))
    hard = tf.reduce_mean(losses.cross_entropy(net(z), y))
    assert abs(float(expected - hard)) > 1e-3
    trainer = Trainer(
        made,
        net,
        Batches(data, batch_size=24, seed=0),
        schedule=Schedule(steps=2, label_smoothing=SMOOTHING),
        strategy=tf.distribute.get_strategy(),
        precision="float32",
        seed=0,
    )
    # Means of 24 losses below 4 in float32, in another order.
    assert float(trainer.run(0, 1)["risk"]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("game", ["sabr", "distillation"])
def test_games_whose_loss_has_no_labels_to_smooth_refuse_it(game):
    with pytest.raises(ConfigError, match=f"Received: {type(GAMES[game](tiny.THREAT)).__name__}"):
        refuse_options(GAMES[game](tiny.THREAT), Schedule(steps=2, label_smoothing=SMOOTHING))
