"""Reads JSON files, and writes files atomically: complete or not at all."""

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from mmtf.errors import ConfigError

FORMAT = 1
# Exceptions of NumPy's and Keras' readers for files that are truncated or of another format.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def write_json(path: str, value: Any) -> None:
    """Writes `value` to `path` as JSON; a kill or a full disk leaves the old file intact."""
    write_atomically(path, lambda temporary: _dump(value, temporary))


def write_text(path: str, text: str) -> None:
    """Writes `text` to `path` as UTF-8; a kill or a full disk leaves the old file intact."""
    write_atomically(path, lambda temporary: _write(text, temporary))


def write_atomically(path: str, write: Callable[[str], Any]) -> None:
    """Calls write(temporary path) and renames the result to `path`.

    The temporary file has the suffix of `path`, by which some writers choose the format. If
    `write` raises, `path` is left as it was.
    """
    folder = os.path.dirname(os.path.abspath(path))
    suffix = "".join(os.path.splitext(path)[1:])
    handle, temporary = tempfile.mkstemp(suffix=suffix, prefix=".partial-", dir=folder)
    os.close(handle)
    try:
        write(temporary)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp lets only the owner read
        to_disk(temporary)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def to_disk(path: str) -> None:
    """Flushes a file, or a folder and its contents, to disk, to survive a power failure."""
    paths = [path]
    for folder, _, names in os.walk(path):
        paths += [folder, *(os.path.join(folder, name) for name in names)]
    for one in paths:
        handle = os.open(one, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError:
            if not os.path.isdir(one):  # some network disks cannot flush folders
                raise
        finally:
            os.close(handle)


def read_json(path: str) -> Any:
    """Reads the value in the JSON file `path`.

    Raises:
      ConfigError: the file is not valid JSON.
      OSError: it cannot be read.
    """
    with open(path) as source:
        try:
            return json.load(source)
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"Expected JSON in {path}. Received: {error}. Move the file away and start again."
            ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(text, path):
    with open(path, "w", encoding="utf-8") as target:
        target.write(text)


def _dump(value, path):
    with open(path, "w") as target:
        json.dump(value, target, indent=1, allow_nan=False)
        target.write("\n")
