"""Reads JSON files, and writes files atomically: complete or not at all."""

import contextlib
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from mmtf.errors import ConfigError, require

FORMAT = 1
PARTIAL = ".partial-"  # prefix of files and folders that are being written
# As `tempfile` makes names, and as TensorFlow calls the parts of a checkpoint while it is written.
_PARTIAL_NAME = re.compile(
    r"\.partial-[a-z0-9_]{8}(\..*)?|ckpt-\d+_temp|ckpt-\d+\.\S+\.tempstate\d+|checkpoint\.tmp\w+"
)
# Exceptions of NumPy's and Keras' readers for files that are truncated or of another format.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def write_json(path: str, value: Any) -> None:
    """Writes `value` to `path` as JSON; a kill or a full disk leaves the old file intact."""
    write_atomically(path, lambda temporary: _dump(value, temporary))


def write_text(path: str, text: str) -> None:
    """Writes `text` to `path` as UTF-8; a kill or a full disk leaves the old file intact."""
    write_atomically(path, lambda temporary: _write(text, temporary))


def require_folder_of(path: str) -> None:
    """Raises ConfigError if the folder in which `path` would be written does not exist."""
    folder = os.path.dirname(os.path.abspath(path))
    require(os.path.isdir(folder), "a path in a folder that exists", path)


def write_atomically(path: str, write: Callable[[str], Any]) -> None:
    """Calls write(temporary path) and renames the result to `path`.

    The temporary file has the suffix of `path`, by which some writers choose the format. If
    `write` raises, `path` is left as it was.
    """
    folder = os.path.dirname(os.path.abspath(path))
    suffix = "".join(os.path.splitext(path)[1:])
    handle, temporary = tempfile.mkstemp(suffix=suffix, prefix=PARTIAL, dir=folder)
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


def files_within(folder: str) -> list[str]:
    """Paths of all files in a folder and its subfolders, relative to it, sorted.

    Links are files here, also those to folders.
    """
    found = []
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        found += [os.path.join(place, name) for name in (*names, *links)]
    return sorted(os.path.relpath(path, folder) for path in found)


def remove_files(folder: str, names: Iterable[str]) -> None:
    """Deletes files of a folder, then the subfolders and the folder itself if they are empty.

    Args:
      folder: the folder; whatever else it has is kept.
      names: of the files, relative to it.
    """
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    remove_empty(folder)


def remove_empty(folder: str) -> None:
    """Deletes the empty folders within a folder, and then itself if it is empty."""
    for place, _, _ in os.walk(folder, topdown=False):
        if not os.listdir(place):
            os.rmdir(place)


def remove_partial(*folders: str) -> None:
    """Deletes what killed processes left half written; call it while holding the folders' lock.

    These are the temporary files and folders of `write_atomically` and of mmtf's exports, and those
    of TensorFlow's checkpoints. Nothing else is deleted, and no subfolder is entered.

    Args:
      folders: where to look; those that do not exist are skipped.
    """
    for folder in folders:
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if _PARTIAL_NAME.fullmatch(name):
                _remove_tree(os.path.join(folder, name))


def _remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


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
        except (ValueError, RecursionError) as error:  # no JSON, no text, nested too deep
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
