"""The defender's best response to a fixed attacker."""

import keras
import numpy as np
import pytest

import mmtf
from mmtf.attacks.attack_network import LearnedAttack
from mmtf.config import Schedule
from mmtf.defenses.awp import AWP
from mmtf.errors import ConfigError
from mmtf.games.best_defense import BestDefense
from mmtf.nets import ATTACK_NETS

THREAT = mmtf.ThreatModel(eta=0.4)


def test_an_attacker_of_other_images_is_refused():
    attacker = ATTACK_NETS["universal"](THREAT, image_shape=(8, 8, 3), num_classes=10)
    told = r"images of the shape \(8, 8, 3\), as the attack network takes them. Received: \(28, 28"
    game, data = BestDefense(THREAT, attacker=attacker), mmtf.load_data("digits")
    with pytest.raises(ConfigError, match=told):
        mmtf.train(game, data, schedule=Schedule(steps=1))
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    with pytest.raises(ConfigError, match=told):
        LearnedAttack(THREAT, attacker)(model, np.zeros([2, 28, 28, 1], np.float32), [0, 1])


def test_it_learns_to_read_the_attacked_images_and_leaves_the_attacker_alone():
    # One of two pixels is lit; the attacker lifts the other one, and a third one with it.
    y = np.arange(64) % 2
    x = np.zeros([64, 1, 3, 1], np.float32)
    x[np.arange(64), 0, y, 0] = 0.3
    data = mmtf.Dataset(
        name="pixels",
        train_images=x,
        train_labels=y,
        test_images=x,
        test_labels=y,
        num_classes=2,
    )
    attacker = ATTACK_NETS["universal"](THREAT, image_shape=(1, 3, 1), num_classes=2)
    pattern = np.array([[-9.0, 9.0, 9.0], [9.0, -9.0, 9.0]], np.float32)
    attacker.set_weights([pattern])
    make = lambda: keras.Sequential(  # noqa: E731
        [keras.Input((1, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    trained = mmtf.train(
        BestDefense(THREAT, attacker=attacker),
        data,
        schedule=Schedule(steps=200, batch_size=32, learning_rate=0.05),
        model=make,
        precision="float32",
        progress=False,
    )
    z = attacker([x, y], training=False)
    np.testing.assert_array_equal(np.argmax(trained.classifier(z), -1), y)
    np.testing.assert_array_equal(attacker.get_weights()[0], pattern)
    # Clean images have the pattern's sign the other way round: the response fits this attacker.
    assert (np.argmax(trained.classifier(x), -1) != y).mean() > 0.9


@pytest.mark.parametrize("wrap", [lambda game: game, AWP])
def test_checkpoints_of_another_attacker_are_refused(tmp_path, wrap):
    data = mmtf.load_data("digits")

    def attacker(seed):
        return ATTACK_NETS["mlp"](THREAT, image_shape=(28, 28, 1), num_classes=10, seed=seed)

    def play(against):
        mmtf.train(
            wrap(BestDefense(THREAT, attacker=against)),
            data,
            schedule=Schedule(steps=2, batch_size=8),
            precision="float32",
            checkpoint_dir=str(tmp_path),
            progress=False,
        )

    play(attacker(1))
    other = attacker(2)
    before = other.get_weights()
    with pytest.raises(ConfigError, match=r"those of another: networks\.\S*attacker"):
        play(other)
    for ours, theirs in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    play(attacker(1))  # the same weights in layers of other names


def test_checkpoints_of_a_game_that_trains_the_network_it_was_given_go_on(tmp_path):
    class Both(BestDefense):
        def make_players(self, classifier, make_optimizer, *shape, **options):
            players = super().make_players(classifier, make_optimizer, *shape, **options)
            variables = self.attacker.trainable_variables
            players.updaters["attacker"] = make_optimizer(variables, player="attacker")
            return players

    shape = {"image_shape": (28, 28, 1), "num_classes": 10}
    for seed in (1, 2):
        trained = mmtf.train(
            Both(THREAT, attacker=ATTACK_NETS["mlp"](THREAT, seed=seed, **shape)),
            mmtf.load_data("digits"),
            schedule=Schedule(steps=1, batch_size=8),
            checkpoint_dir=str(tmp_path),
            progress=False,
        )
    assert trained.steps == 1
