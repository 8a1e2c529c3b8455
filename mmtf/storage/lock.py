"""Locks a folder or a file so that only one process uses it at a time."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from typing import TextIO

from mmtf.errors import ConfigError
from mmtf.storage.files import remove_files


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


class NewFolder:
    """Removes a folder that was made for nothing, with the empty folders above it.

    Args:
      path: of the folder, which may exist; then it is never removed.
    """

    def __init__(self, path: str):
        self.path = os.path.abspath(path)
        self._made = []
        above = self.path
        while not os.path.lexists(above):
            self._made.append(above)
            above = os.path.dirname(above)

    def discard(self, *names: str) -> None:
        """Deletes the files `names` in the folder, then what is empty; only if it was made here."""
        if not self._made:
            return
        remove_files(self.path, names)
        for folder in self._made:
            if os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)


def hold_new(folder: str) -> contextlib.AbstractContextManager[None]:
    """`hold` for a with block, without a trace of the folder if the block raises ConfigError.

    Args:
      folder: if it exists, or holds files when the block ends, it is kept.

    Raises:
      ConfigError, InUse: see `hold`; at once, not when the block is entered.
    """
    new = NewFolder(folder)
    lock = hold(folder)

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        with lock:
            try:
                yield
            except ConfigError:
                new.discard(".lock")
                raise

    return held()


def hold_file(path: str) -> TextIO:
    """Locks a single file, as `hold` locks a folder.

    Args:
      path: path of the file. The lock file `.NAME.lock` in the same folder is not deleted.
    """
    folder, name = os.path.split(os.path.abspath(path))
    return hold(folder, f".{name}.lock")
