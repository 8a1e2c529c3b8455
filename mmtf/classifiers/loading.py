"""Loads a trained classifier from a .keras file, a SavedModel or a workdir of mmtf.run."""

import functools
import glob
import os
import zipfile

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import BOX, Classifier
from mmtf.errors import ConfigError, reason_of, require_path
from mmtf.storage.digest import sha256

FORMS = "a .keras file, a workdir of mmtf.run, or a SavedModel with a `logits` signature"
HDF5 = (".h5", ".hdf5")  # Keras' format before .keras


def load_classifier(
    path: str,
    name: str | None = None,
    bounds: tuple[float, float] = BOX,
    *,
    trust_saved_models: bool = False,
) -> Classifier:
    """Loads the classifier at `path`.

    Keras files are loaded in Keras' safe mode, which refuses code in them. A SavedModel runs what
    its author put into it, see docs/security.md.

    Args:
      path: a .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run.
      name: the classifier's name in tables; None: the name of the file or folder.
      bounds: (low, high), the pixel range that the model expects.
      trust_saved_models: whether a SavedModel is loaded; give True for SavedModels that you wrote
        or whose author you trust.

    Raises:
      ConfigError: `path` does not exist, cannot be loaded, or is a SavedModel that is not trusted.
    """
    require_path("path", path)
    path = os.path.expanduser(path).rstrip("/")
    name = name or os.path.basename(path).removesuffix(".keras")
    name = name.encode(errors="replace").decode()  # file names need not be valid UTF-8
    kept = os.path.join(path, "classifier.keras")
    if os.path.isfile(kept):
        return Classifier(load_keras(kept), name=name, bounds=bounds)
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        if not trust_saved_models:
            raise ConfigError(
                f"Expected --trust_saved_models (in Python trust_saved_models=True) for a "
                f"SavedModel. Received: {path} without. Loading a SavedModel runs its graph, which "
                f"can read and write files: give the flag if you wrote it or trust its author, or "
                f"give a .keras file, which loads in safe mode."
            )
        return Classifier(_Signature(path), name=name, bounds=bounds)
    if os.path.isfile(path):
        return Classifier(load_keras(path), name=name, bounds=bounds)
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
                f"Expected {FORMS}. Received: {path}, which TensorFlow cannot load "
                f"({reason_of(error)})."
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
        shape = inputs[self._input].shape
        self.input_shape = None if shape.rank is None else tuple(shape)

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


def load_keras(path: str) -> keras.Model:
    """Loads the model in a .keras file in Keras' safe mode, without an optimizer.

    Raises:
      ConfigError: there is no such file, or Keras cannot load it.
    """
    if not os.path.isfile(path):
        raise ConfigError(f"Expected a .keras file. Received: {path}, nothing.")
    if not path.endswith(HDF5) and not zipfile.is_zipfile(path):
        empty = "an empty file" if os.path.getsize(path) == 0 else "a file of another format"
        raise ConfigError(f"Expected {FORMS}. Received: {path}, {empty} or a truncated one.")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise ConfigError(
            f"Expected {FORMS}. Received: {path}, which Keras cannot load ({reason_of(error)}). "
            f"{_advice(error)}"
        ) from error


def _advice(error):
    if "enable_unsafe_deserialization" in str(error):
        return (
            "It contains code that would run. If you trust its author, call "
            "keras.config.enable_unsafe_deserialization() in Python before mmtf.evaluate or "
            "mmtf.train, or replace the Lambda by a layer."
        )
    return (
        "For a model with custom layers, mmtf.save_serving(model, preprocess, image_shape, path) "
        "writes a SavedModel that loads without their code."
    )
