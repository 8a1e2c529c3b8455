"""A guarded classifier as files and as a SavedModel."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.detectors import DivergenceDetector, ReconstructionDetector
from mmtf.classifiers.guarded import Guarded
from mmtf.classifiers.guarded_files import (
    guard_files,
    is_guarded,
    save_guarded,
    save_guarded_files,
)
from mmtf.classifiers.loading import load_classifier
from mmtf.data import to_unit_box
from mmtf.errors import ConfigError

SHAPE = (4, 4, 1)


def convolution(seed):
    layer = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", name=f"layer_{seed}")
    model = keras.Sequential([keras.Input(SHAPE), layer])
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 1, one.shape) for one in model.get_weights()])
    return model


@pytest.fixture
def guarded():
    net = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    net.set_weights([np.random.default_rng(0).normal(0, 1, one.shape) for one in net.get_weights()])
    base = Classifier(net, bounds=(0, 1))
    one, two = convolution(1), convolution(2)
    rules = [
        ReconstructionDetector(autoencoder=one, p=2.0, threshold=0.17),
        ReconstructionDetector(autoencoder=two, p=1.0, threshold=0.36),
        DivergenceDetector(autoencoder=two, classifier=base, temperature=2.0, threshold=0.04),
    ]
    return Guarded(base, reformer=one, detectors=rules, name="mine")


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (40, *SHAPE), np.uint8)


def test_the_files_are_the_same_classifier(guarded, images, tmp_path):
    names = save_guarded_files(guarded, str(tmp_path))
    assert sorted(names) == sorted(one.name for one in tmp_path.iterdir())
    assert is_guarded(str(tmp_path)) and len(guard_files(str(tmp_path))) == 3
    loaded = load_classifier(str(tmp_path), "mine")
    x = to_unit_box(tf.constant(images))
    np.testing.assert_array_equal(loaded(x), guarded(x))
    np.testing.assert_array_equal(loaded.rejection(x), guarded.rejection(x))
    accepted = guarded.accepts(x).numpy()
    assert 0 < accepted.sum() < len(accepted)  # the test would see a rule that is lost
    assert loaded.fingerprint == guarded.fingerprint


def test_the_saved_model_has_logits_and_acceptance(guarded, images, tmp_path):
    path = str(tmp_path / "served")
    for _ in range(2):  # its own is replaced
        save_guarded(guarded, to_unit_box, SHAPE, path)
    signatures = tf.saved_model.load(path).signatures
    x = to_unit_box(tf.constant(images))
    found = signatures["logits"](images=x)
    # The same operations in another graph: rounding only, of logits of order 10.
    np.testing.assert_allclose(found["logits"], guarded(x), atol=1e-4)
    np.testing.assert_array_equal(found["accepted"], guarded.accepts(x))
    served = signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_array_equal(served["label"], np.argmax(found["logits"], -1))
    np.testing.assert_array_equal(served["accepted"], found["accepted"])
    np.testing.assert_allclose(served["probabilities"], tf.nn.softmax(found["logits"]), atol=1e-5)


def test_damaged_files_are_told(guarded, tmp_path):
    save_guarded_files(guarded, str(tmp_path))
    guard = tmp_path / "guard.json"
    told = json.loads(guard.read_text())
    told["detectors"][0]["kind"] = "other"
    guard.write_text(json.dumps(told))
    with pytest.raises(ConfigError, match=r"guard\.json as mmtf\.magnet writes it"):
        load_classifier(str(tmp_path))
    guard.write_text("[]")
    with pytest.raises(ConfigError, match=r"guard\.json as mmtf\.magnet writes it"):
        load_classifier(str(tmp_path))


def test_a_detector_without_a_threshold_is_refused_before_anything_is_written(guarded, tmp_path):
    loose = ReconstructionDetector(autoencoder=convolution(1))
    with pytest.raises(ConfigError, match="a detector with a threshold"):
        save_guarded_files(Guarded(guarded.base, detectors=[loose]), str(tmp_path))
    assert not list(tmp_path.iterdir())
