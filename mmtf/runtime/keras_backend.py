"""Whether Keras runs on TensorFlow, as mmtf needs. Imports neither."""

import json
import os
import sys

from mmtf.errors import BackendError


def keras_backend() -> tuple[str, str]:
    """Keras' backend, and what sets it: KERAS_BACKEND, keras.json, or Keras itself if imported."""
    imported = sys.modules.get("keras")
    if imported is not None and hasattr(imported, "config"):
        return imported.config.backend(), "keras, imported before"
    given = os.environ.get("KERAS_BACKEND")
    if given:
        return given, "KERAS_BACKEND"
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = os.path.join(home, "keras.json")
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file).get("backend", "tensorflow")), path
    except (OSError, ValueError, AttributeError):  # none, or one that Keras does not read either
        return "tensorflow", "the default"


def require_tensorflow() -> None:
    """Checks that Keras' backend is TensorFlow.

    Raises:
      BackendError: it is another one.
    """
    found, source = keras_backend()
    if found != "tensorflow":
        raise BackendError(
            f"Expected Keras with the backend tensorflow. Received: {found}, from {source}. Set "
            "KERAS_BACKEND=tensorflow in the environment before Keras is imported."
        )
