"""The exported vote."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.data import to_unit_box
from mmtf.errors import ConfigError
from mmtf.smoothing import ABSTAIN, save_smoothed, voted


@pytest.fixture
def model():
    """Two classes by the sign of the sum of the pixels."""
    net = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)]
    )
    net.set_weights([np.stack([np.ones(4), -np.ones(4)], 1)])
    return net


def test_the_saved_model_votes_and_abstains(model, tmp_path):
    path = str(tmp_path / "smoothed")
    keras.utils.set_random_seed(0)  # must not make the noise of the export repeat
    save_smoothed(model, to_unit_box, (2, 2, 1), path, sigma=0.5, n=1500)
    save_smoothed(model, to_unit_box, (2, 2, 1), path, sigma=0.5, n=1500)  # its own is replaced
    loaded = tf.saved_model.load(path)
    images = np.stack([np.full((2, 2, 1), v, np.uint8) for v in (255, 0, 135, 120)])
    served = loaded.signatures["serving_default"]
    first, second = (served(images=tf.constant(images)) for _ in range(2))
    counts = first["counts"].numpy()
    assert (counts.sum(1) == 1500).all()
    assert first["label"].numpy()[:2].tolist() == [0, 1]
    np.testing.assert_array_equal(first["label"], voted(counts))
    assert (counts != second["counts"].numpy()).any()

    zero = tf.zeros([3, 2, 2, 1])
    votes = loaded.signatures["votes"]
    one, same, other = (votes(images=zero, seed=tf.constant([s, 0])) for s in (1, 1, 2))
    np.testing.assert_array_equal(one["counts"], same["counts"])
    assert (one["counts"].numpy() != other["counts"].numpy()).any()
    assert len(set(one["counts"].numpy()[:, 0])) > 1  # images have noise of their own
    assert one["label"].numpy().tolist() == [ABSTAIN] * 3


def test_what_is_there_is_kept(model, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="nothing was changed"):
        save_smoothed(model, to_unit_box, (2, 2, 1), str(tmp_path), sigma=0.5)
    with pytest.raises(ConfigError, match="a Keras model"):
        save_smoothed(lambda x, training: x, to_unit_box, (2, 2, 1), str(tmp_path), sigma=0.5)
