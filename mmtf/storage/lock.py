"""Locks a folder or a file so that only one process uses it at a time."""

import errno
import fcntl
import os
from typing import TextIO

from mmtf.errors import ConfigError


class InUse(ConfigError):
    """Another process holds the lock."""


def hold(folder: str, name: str = ".lock") -> TextIO:
    """Creates `folder` if necessary and locks it.

    The lock is held until the returned file is closed or the process ends.

    Args:
      folder: path of the folder.
      name: name of the lock file, which is created in the folder. Locks of different names do not
        exclude each other.

    Returns:
      The open lock file.

    Raises:
      ConfigError: the folder cannot be written, or its disk does not support locks.
      InUse: another process holds the lock.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        lock = open(os.path.join(folder, name), "a+")  # noqa: SIM115 (held by the caller)
    except OSError as error:
        raise ConfigError(
            f"Expected a folder that can be written. Received: {folder} ({error.strerror}). Give "
            "another folder."
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
    """Locks a single file, as `hold` locks a folder.

    Args:
      path: path of the file. The lock file `.NAME.lock` in the same folder is not deleted.
    """
    folder, name = os.path.split(os.path.abspath(path))
    return hold(folder, f".{name}.lock")
