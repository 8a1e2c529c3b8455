"""The images that a report shows: clean, adversarial and the change, as PNG, with predictions."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.dataset import Dataset
from mmtf.evaluation.payoff import Matrix
from mmtf.evaluation.runner import Result
from mmtf.reports.measured import CLEAN
from mmtf.runtime.devices import full_float32

# Pixels of all images of a report, one byte each before compression.
BUDGET = 24e6


def shown_images(
    matrix: Matrix, classifiers: Mapping[str, Any], dataset: Dataset
) -> dict[str, Any] | None:
    """The first test images under each attack, as plain JSON data.

    As many as the results hold, fewer of large images: in base64 they take 32 MB at most. If even
    one image per attack exceeds that, only the largest radius is shown.

    Args:
      matrix: the measurements, with images (`EvalOptions.keep`).
      classifiers: name -> the model that was measured, a row of `matrix`.
      dataset: the data that was measured.

    Returns:
      None if the results hold no images. Otherwise `clean`: a dict per image with png (base64) and
      label; `models`: name -> dict with predicted (labels of the clean images) and attacks: dicts
      with attack, eta, and images: dicts with png, difference, predicted, wrong and distance (None
      if unknown).
    """
    cells = [one for one in matrix.cells if len(one.images) and one.attack != CLEAN]
    stored = [len(one.images) for one in matrix.cells if len(one.images)]
    if not stored:
        return None
    size = int(np.prod(dataset.image_shape))
    count = int(min(min(stored), BUDGET // (2 * size * max(len(cells), 1))))
    if count == 0:
        largest = cells[-1].eta  # radii ascend; of an array the cell has a text
        cells, count = [one for one in cells if one.eta == largest], 1
    x, y = dataset.test(count)
    models = {}
    for name, model in classifiers.items():
        own = [one for one in cells if one.defense == name]
        images = np.concatenate([x, *(one.images[:count] for one in own)])
        predicted = _predictions(as_classifier(model), images).reshape(-1, count)
        models[name] = {
            "predicted": predicted[0].tolist(),
            "attacks": [
                {"attack": one.attack, "eta": one.eta, "images": _attacked(one, x, labels)}
                for one, labels in zip(own, predicted[1:], strict=True)
            ],
        }
    clean = [{"png": png(image), "label": int(label)} for image, label in zip(x, y, strict=True)]
    return {"clean": clean, "models": models}


def png(image: np.ndarray) -> str:
    """An image in [-1, 1] as a PNG file in base64.

    Args:
      image: float32 [H, W, C], C 1 or 3; of other images only the first channel is shown.
    """
    if image.shape[-1] not in (1, 3):
        image = image[..., :1]
    pixels = np.round((np.clip(image, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    return base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()


def _attacked(cell: Result, x: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """Dicts of one cell's images; changes are scaled by the largest among them."""
    changes = cell.images[: len(x)] - x
    largest = float(np.abs(changes).max()) or 1.0
    distances = np.full(len(x), np.nan) if cell.distance is None else cell.distance
    return [
        {
            "png": png(cell.images[i]),
            "difference": png(changes[i] / largest),
            "predicted": int(labels[i]),
            "wrong": bool(cell.wrong[i]),
            "distance": float(distances[i]) if np.isfinite(distances[i]) else None,
        }
        for i in range(len(x))
    ]


def _predictions(classifier: Classifier, images: np.ndarray, size: int = 64) -> np.ndarray:
    """Labels int [N] of one call, in float32."""
    call = classifier.at("float32")
    with full_float32():
        parts = [
            np.argmax(call(tf.constant(images[i : i + size]), training=False), -1)
            for i in range(0, len(images), size)
        ]
    return np.concatenate(parts)
