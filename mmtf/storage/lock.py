"""One process at a time in a folder."""

import errno
import fcntl
import os
from typing import TextIO

from mmtf.errors import ConfigError


class InUse(ConfigError):
    """Another process holds the folder."""


def hold(folder: str, name: str = ".lock") -> TextIO:
    """Makes `folder` and locks it until the returned file is closed or the process ends.

    Args:
      folder: any path; gets a file `name`.
      name: another one where the folder is not held as a whole.

    Raises:
      ConfigError: the folder cannot be written, or is on a disk that does not lock files.
      InUse: another process holds it.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        lock = open(os.path.join(folder, name), "a+")  # noqa: SIM115 (held by the caller)
    except OSError as error:
        raise ConfigError(
            f"Expected a folder that can be written. Received: {folder} ({error.strerror})."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise ConfigError(
                f"Expected a folder on a disk that locks files. Received: {folder} "
                f"({error.strerror}). Give a folder on another disk."
            ) from error
        raise InUse(
            f"Expected a folder that no other process uses. Received: {folder}, which another run "
            "holds. Wait for it, or give another folder."
        ) from error
    return lock


def hold_file(path: str) -> TextIO:
    """`hold` for a file alone, beside which `.<its name>.lock` is left."""
    folder, name = os.path.split(os.path.abspath(path))
    return hold(folder, f".{name}.lock")
