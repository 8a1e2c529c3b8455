"""Guarded classifiers as files: a folder that mmtf loads, and a SavedModel for serving."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.admission import logits_on
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.detectors import Detector, DivergenceDetector, ReconstructionDetector
from mmtf.classifiers.export import CHECKED, checked_shape, save_keras, write_saved_model
from mmtf.classifiers.guarded import Guarded
from mmtf.classifiers.keras_files import load_keras
from mmtf.classifiers.precision import computing_in
from mmtf.errors import ConfigError, require
from mmtf.storage.files import read_json, write_json

GUARD = "guard.json"
CLASSIFIER = "classifier.keras"
KINDS: dict[str, type[Detector]] = {
    "reconstruction": ReconstructionDetector,
    "divergence": DivergenceDetector,
}


def save_guarded_files(guarded: Guarded, folder: str) -> list[str]:
    """Writes classifier.keras, autoencoder_K.keras and guard.json into a folder, each atomically.

    `mmtf.classifiers.loading.load_classifier`, and so `mmtf.evaluate --model`, loads the folder.

    Args:
      guarded: of a Keras model without a preprocessing.
      folder: an existing folder.

    Returns:
      The names of the files.

    Raises:
      ConfigError: the classifier is not a Keras model or has a preprocessing, or a detector has no
        threshold; nothing is then written.
    """
    base = guarded.base
    require(base.preprocessing is None, "a classifier without preprocessing", base)
    for one in guarded.detectors:
        expected = "a detector with a threshold, as `calibrated` gives it"
        require(math.isfinite(one.threshold), expected, one.threshold)
    names, models = [CLASSIFIER], guarded.autoencoders
    save_keras(base, os.path.join(folder, CLASSIFIER))
    for number, model in enumerate(models):
        names.append(_autoencoder(number))
        save_keras(model, os.path.join(folder, names[-1]))
    rules = [
        {"autoencoder": models.index(one.autoencoder), **one.settings()}
        for one in guarded.detectors
    ]
    reformer = None if guarded.reformer is None else models.index(guarded.reformer)
    told = {"bounds": list(base.bounds), "output": base.output}
    kept = {**told, "reformer": reformer, "autoencoders": len(models), "detectors": rules}
    # Last: a folder with it has everything else.
    write_json(os.path.join(folder, GUARD), kept)
    return [*names, GUARD]


def is_guarded(folder: str) -> bool:
    """Whether the folder holds a guarded classifier."""
    return os.path.isfile(os.path.join(folder, GUARD))


def guard_files(folder: str) -> list[str]:
    """Paths of a guarded classifier's files beside classifier.keras; empty for other models."""
    if not is_guarded(folder):
        return []
    count = _read(folder)["autoencoders"]
    names = [GUARD, *(_autoencoder(number) for number in range(count))]
    return [os.path.join(folder, name) for name in names]


def load_guarded(folder: str, name: str) -> Guarded:
    """Loads what `save_guarded_files` wrote; Keras files in safe mode.

    Args:
      folder: of the files.
      name: the classifier's name in tables.

    Raises:
      ConfigError: a file is missing, damaged, or of another form.
    """
    told = _read(folder)
    model = load_keras(os.path.join(folder, CLASSIFIER))
    count = told["autoencoders"]
    models = [load_keras(os.path.join(folder, _autoencoder(one))) for one in range(count)]
    base = Classifier(model, name=name, bounds=tuple(told["bounds"]), output=told["output"])
    try:
        detectors = [_detector(dict(one), models, base) for one in told["detectors"]]
        reformer = None if told["reformer"] is None else models[told["reformer"]]
    except (IndexError, KeyError, TypeError) as error:
        raise ConfigError(
            f"Expected {GUARD} as mmtf.magnet writes it. Received: {folder} with another ({error})."
        ) from error
    return Guarded(base, reformer=reformer, detectors=detectors, name=name)


def save_guarded(
    guarded: Guarded,
    preprocess: Callable[[tf.Tensor], tf.Tensor],
    image_shape: Sequence[int],
    path: str,
) -> None:
    """Saves a guarded classifier atomically as a SavedModel that TensorFlow loads without mmtf.

    Its signatures, in float32:
      serving_default: `images` uint8 [N, H, W, C], raw pixels -> `label` int32 [N],
        `probabilities` float32 [N, classes] and `accepted` bool [N]; a label of an image that is
        not accepted is not to be used.
      logits: `images` float32 [N, H, W, C] in [-1, 1] -> `logits` float32 [N, classes] and
        `accepted` bool [N].

    Args:
      guarded: of a Keras model.
      preprocess: maps a uint8 batch to a float32 batch in [-1, 1]; TensorFlow operations only.
      image_shape: (H, W, C).
      path: the folder to write. A SavedModel that mmtf wrote is replaced; nothing else is ever
        overwritten or deleted.

    Raises:
      ConfigError, OSError: see `mmtf.save_serving`.
    """
    require(isinstance(guarded, Guarded), "a Guarded classifier", guarded)
    require(callable(preprocess), "preprocess as a function of uint8 images", preprocess)
    model = guarded.base.keras_model
    require(model is not None, "a Keras model to save", guarded.base)
    image_shape = checked_shape(image_shape)
    logits_on(guarded, tf.random.stateless_uniform([CHECKED, *image_shape], [0, 0], -1.0, 1.0))
    inner = guarded.at(None)

    def logits_of(images: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = tf.cast(inner(images, training=False), tf.float32)
        return {"logits": logits, "accepted": inner.accepts(images)}

    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        found = logits_of(preprocess(images))
        logits = found.pop("logits")
        label = tf.argmax(logits, -1, tf.int32)
        return {"label": label, "probabilities": tf.nn.softmax(logits), **found}

    raw = tf.TensorSpec([None, *image_shape], tf.uint8, name="images")
    scaled = tf.TensorSpec([None, *image_shape], tf.float32, name="images")
    endpoints = {"serving_default": (serve, raw), "logits": (logits_of, scaled)}
    with computing_in(model, "float32"):
        write_saved_model(_Parts([model, *guarded.autoencoders]), endpoints, path)


class _Parts(keras.Model):
    """Several models as one, so that a SavedModel has the variables of all."""

    def __init__(self, parts: list[keras.Model]):
        super().__init__(name="guarded")
        self.parts = parts
        self.built = True


def _autoencoder(number: int) -> str:
    return f"autoencoder_{number}.keras"


def _detector(told: dict[str, Any], models: list[keras.Model], base: Classifier) -> Detector:
    kind = KINDS[told.pop("kind")]
    told["autoencoder"] = models[told["autoencoder"]]
    if kind is DivergenceDetector:
        told["classifier"] = base
    return kind(**told)


def _read(folder: str) -> dict[str, Any]:
    told = read_json(os.path.join(folder, GUARD))
    known = {"bounds", "output", "reformer", "autoencoders", "detectors"}
    good = isinstance(told, dict) and known <= set(told)
    require(good, f"{GUARD} as mmtf.magnet writes it", f"{folder} with another")
    return told
