"""The defender's best response to a fixed attacker."""

import keras
import numpy as np

import mmtf
from mmtf.config import Schedule
from mmtf.games.best_defense import BestDefense
from mmtf.nets import ATTACK_NETS

THREAT = mmtf.ThreatModel(eta=0.4)


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
