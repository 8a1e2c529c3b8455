"""Classifiers by their paths."""

import os

import keras
import numpy as np
import pytest

from mmtf.classifiers.export import save_serving
from mmtf.classifiers.loading import load_classifier, require_keras
from mmtf.data import to_unit_box
from mmtf.errors import ConfigError


def test_a_name_that_is_no_text_is_made_one(tmp_path):
    name = os.fsdecode(b"caf\xe9.keras")
    kept = tmp_path / "model.keras"
    small_model().save(kept)
    os.rename(kept, tmp_path / name)
    assert load_classifier(str(tmp_path / name)).name == "caf?"


def small_model():
    return keras.Sequential([keras.Input((2, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])


def test_bounds_and_fingerprints(tmp_path):
    """The file and the SavedModel compute the same; each is known by what it holds."""
    model, x = small_model(), np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 2, 3, 1)
    model.save(tmp_path / "net.keras")
    save_serving(model, to_unit_box, (2, 3, 1), str(tmp_path / "served"))
    found = [load_classifier(str(tmp_path / "net.keras"), bounds=(0, 1))]
    trusted = {"bounds": (0, 1), "trust_saved_models": True}
    found.append(load_classifier(str(tmp_path / "served"), **trusted))
    for classifier in found:
        np.testing.assert_allclose(classifier(x), model((x + 1) / 2), atol=1e-6)
        assert classifier.bounds == (0.0, 1.0)
    prints = [one.fingerprint for one in found]
    assert prints == [one.fingerprint for one in found] and len(set(prints)) == 2
    other = load_classifier(str(tmp_path / "served"), trust_saved_models=True)
    assert other.fingerprint not in prints
    require_keras(found[0], "a test")
    with pytest.raises(ConfigError, match="Expected a Keras model for a test. Received: served"):
        require_keras(found[1], "a test")
