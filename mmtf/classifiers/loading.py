"""Loads a trained classifier from a .keras file, a SavedModel or a workdir of mmtf.run."""

import functools
import glob
import os

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import BOX, Classifier
from mmtf.errors import ConfigError, reason_of
from mmtf.storage.digest import sha256

FORMS = "a .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run"


def load_classifier(
    path: str, name: str | None = None, bounds: tuple[float, float] = BOX
) -> Classifier:
    """Loads the classifier at `path`.

    Args:
      path: a .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run.
      name: the classifier's name in tables; None: the name of the file or folder.
      bounds: (low, high), the pixel range that the model expects.

    Raises:
      ConfigError: `path` does not exist or cannot be loaded.
    """
    path = os.path.expanduser(path).rstrip("/")
    name = name or os.path.basename(path).removesuffix(".keras")
    name = name.encode(errors="replace").decode()  # file names need not be valid UTF-8
    kept = os.path.join(path, "classifier.keras")
    if os.path.isfile(kept):
        return Classifier(_keras_model(kept), name=name, bounds=bounds)
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return Classifier(_Signature(path), name=name, bounds=bounds)
    if os.path.isfile(path):
        return Classifier(_keras_model(path), name=name, bounds=bounds)
    found = "a folder without a model" if os.path.isdir(path) else "nothing"
    raise ConfigError(f"Expected {FORMS}. Received: {path}, {found}.")


def require_keras(classifier: Classifier, purpose: str) -> None:
    """Raises ConfigError unless `classifier` wraps a Keras model, as `purpose` requires."""
    if classifier.keras_model is None:
        raise ConfigError(
            f"Expected a Keras model for {purpose}. Received: {classifier.name}, a SavedModel or "
            "a function. Give the .keras file or the keras.Model."
        )


class _Signature:
    """The `logits` signature of a SavedModel as a differentiable function."""

    def __init__(self, path: str):
        self._path = path
        try:
            self._loaded = tf.saved_model.load(path)
        except Exception as error:
            raise ConfigError(
                f"Expected {FORMS}. Received: {path}, which TensorFlow cannot load: "
                f"{reason_of(error)}"
            ) from error
        signature = self._loaded.signatures.get("logits")
        if signature is None:
            names = ", ".join(self._loaded.signatures) or "none"
            raise ConfigError(
                f"Expected a SavedModel with a signature `logits`, as mmtf.save_serving(model, "
                f"preprocess, image_shape, path) writes it. Received: {path} with {names}."
            )
        inputs = signature.structured_input_signature[1]
        if len(inputs) != 1 or len(signature.structured_outputs) != 1:
            raise ConfigError(
                f"Expected a signature `logits` from images to logits. Received: inputs "
                f"{list(inputs)}, outputs {list(signature.structured_outputs)} in {path}."
            )
        self._signature = signature
        (self._input,), (self._output,) = inputs, signature.structured_outputs

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the SavedModel's files: graph and variables."""
        paths = [os.path.join(self._path, "saved_model.pb")]
        paths += sorted(glob.glob(os.path.join(glob.escape(self._path), "variables", "*")))
        contents = []
        for path in paths:
            with open(path, "rb") as source:
                contents.append(source.read())
        return sha256(*contents)

    def __call__(self, x, training=False):
        return self._signature(**{self._input: x})[self._output]


def _keras_model(path):
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        raise ConfigError(
            f"Expected {FORMS}. Received: {path}, which Keras cannot load: {reason_of(error)} For "
            "a model with custom layers, mmtf.save_serving(model, preprocess, image_shape, path) "
            "writes a SavedModel that loads without their code."
        ) from error
