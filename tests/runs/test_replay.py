"""Which runs' attacks can be replayed against which."""

import dataclasses
import os

import keras
import numpy as np
import pytest

from mmtf.config import RunConfig, Schedule
from mmtf.data import Dataset
from mmtf.errors import ConfigError
from mmtf.reports import write_json
from mmtf.runs.replay import require_same_images

CONFIG = RunConfig(dataset="lines", eta=0.3, schedule=Schedule(steps=5))


@pytest.fixture
def data():
    x, y = np.zeros([4, 4, 4, 1], np.float32), np.arange(4) % 3
    given = {"train_images": x, "train_labels": y, "test_images": x, "test_labels": y}
    return Dataset(name="lines", num_classes=3, **given)


@pytest.fixture
def source(tmp_path):
    """A finished cat-and-mouse run, as far as a replay looks at it."""
    os.makedirs(tmp_path / "rounds")
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(tmp_path / "rounds" / "000.keras")
    write_json(str(tmp_path / "config.json"), CONFIG.to_dict())
    write_json(str(tmp_path / "record.json"), {})
    return str(tmp_path)


def test_a_run_of_the_same_radius_and_images_is_taken(source, data):
    require_same_images(source, CONFIG, data)


def test_others_are_refused(source, data):
    with pytest.raises(ConfigError, match="a run with eta 0.1. Received: 0.3"):
        require_same_images(source, dataclasses.replace(CONFIG, eta=0.1), data)
    with pytest.raises(ConfigError, match="a run with dataset dots. Received: 'lines'"):
        require_same_images(source, CONFIG, dataclasses.replace(data, name="dots"))
    os.unlink(os.path.join(source, "record.json"))
    with pytest.raises(ConfigError, match="a finished run"):
        require_same_images(source, CONFIG, data)
