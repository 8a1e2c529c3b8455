"""Loads Keras models from files in Keras' safe mode."""

import os
import zipfile

import keras

from mmtf.errors import ConfigError, reason_of

FORMS = "a .keras file, a workdir of mmtf.run, or a SavedModel with a `logits` signature"
HDF5 = (".h5", ".hdf5")  # Keras' format before .keras


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
