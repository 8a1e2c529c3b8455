"""The images of a report: pixels, predictions, and how many there are."""

import base64

import numpy as np
import pytest
import tensorflow as tf

from mmtf.data import Dataset
from mmtf.evaluation import images
from mmtf.evaluation.payoff import Matrix
from mmtf.evaluation.runner import Result

SHAPE = (2, 2, 1)


@pytest.fixture
def measured(rng):
    """Two images of class 0; `pgd` brightens them by 0.5 and 0.25, and the first is broken."""
    x = np.full([4, *SHAPE], -0.5, np.float32)
    y = np.zeros(4, np.int64)
    data = Dataset(
        name="flat", train_images=x, train_labels=y, test_images=x, test_labels=y, num_classes=2
    )
    change = np.array([0.5, 0.25, 0, 0], np.float32)[:, None, None, None]
    wrong = np.array([True, False, False, False])
    distance = np.array([0.4, np.nan, np.nan, np.nan])
    cells = [
        Result("none", np.zeros(4, bool), images=x[:2], defense="net", eta=eta)
        for eta in (0.25, 0.5)
    ]
    cells += [
        Result("pgd", wrong, images=(x + change)[:2], distance=distance, defense="net", eta=eta)
        for eta in (0.25, 0.5)
    ]
    cells.append(Result("worst", wrong, defense="net", eta=0.5))
    return Matrix(cells, [], {}), {"net": _bright}, data


def _bright(x, training):
    """Class 1 from a mean of -0.1."""
    assert training is False
    mean = tf.reduce_mean(x, [1, 2, 3])
    return tf.stack([-0.1 - mean, mean + 0.1], 1)


def pixels(png):
    return tf.io.decode_png(base64.b64decode(png)).numpy()


def test_images_predictions_and_changes(measured):
    found = images.shown_images(*measured)
    assert [one["label"] for one in found["clean"]] == [0, 0]
    # (-0.5 + 1) * 127.5 = 63.75
    assert (pixels(found["clean"][0]["png"]) == 64).all()
    net = found["models"]["net"]
    assert net["predicted"] == [0, 0]
    assert [(one["attack"], one["eta"]) for one in net["attacks"]] == [("pgd", 0.25), ("pgd", 0.5)]
    first, second = net["attacks"][1]["images"]
    assert (first["predicted"], first["wrong"], first["distance"]) == (1, True, 0.4)
    assert (second["predicted"], second["wrong"], second["distance"]) == (0, False, None)
    assert (pixels(first["png"]) == 128).all()  # 0 in [-1, 1]: 127.5, to even
    # The largest change, 0.5, is white; half of it is half way from gray: 1.5 * 127.5 = 191.25.
    assert (pixels(first["difference"]) == 255).all()
    assert (pixels(second["difference"]) == 191).all()


def test_large_images_are_fewer_and_then_of_one_radius(measured, monkeypatch):
    # Two cells of 2 * 4 bytes an image.
    monkeypatch.setattr(images, "BUDGET", 16)
    assert len(images.shown_images(*measured)["clean"]) == 1
    monkeypatch.setattr(images, "BUDGET", 15)
    attacks = images.shown_images(*measured)["models"]["net"]["attacks"]
    assert [(one["eta"], len(one["images"])) for one in attacks] == [(0.5, 1)]


def test_there_are_none_if_none_were_kept(measured):
    matrix, models, data = measured
    cells = [Result("pgd", one.wrong, defense="net", eta=0.5) for one in matrix.cells[:1]]
    assert images.shown_images(Matrix(cells, [], {}), models, data) is None
