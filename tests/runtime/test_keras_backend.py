"""Keras on another backend is told in one line, by the import and by the commands."""

import json
import os
import subprocess
import sys

import pytest

from mmtf.errors import BackendError, ConfigError
from mmtf.runtime import keras_backend as module
from mmtf.runtime.keras_backend import keras_backend, require_tensorflow


@pytest.fixture
def no_keras(monkeypatch, tmp_path):
    """As in a process that has not imported Keras, with an empty KERAS_HOME."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_what_sets_it(no_keras, monkeypatch):
    assert keras_backend() == ("tensorflow", "the default")
    path = no_keras / "keras.json"
    path.write_text("{ damaged")
    assert keras_backend()[0] == "tensorflow"
    path.write_text(json.dumps({"floatx": "float32"}))
    assert keras_backend()[0] == "tensorflow"
    path.write_text(json.dumps({"backend": "torch"}))
    assert keras_backend() == ("torch", str(path))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # before the file, as for Keras
    require_tensorflow()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(BackendError, match="tensorflow. Received: jax, from KERAS_BACKEND") as no:
        require_tensorflow()
    assert isinstance(no.value, ConfigError) and isinstance(no.value, ImportError)


def test_a_keras_that_is_imported_counts(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    import keras

    assert module.keras_backend() == (keras.config.backend(), "keras, imported before")
    require_tensorflow()


@pytest.mark.parametrize("command", ["mmtf.run", "mmtf.evaluate"])
def test_the_commands_end_in_one_line(command):
    given = {**os.environ, "KERAS_BACKEND": "jax"}
    asked = [sys.executable, "-m", command, "--help"]
    done = subprocess.run(asked, env=given, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "Expected Keras with the backend tensorflow. Received: jax" in line
