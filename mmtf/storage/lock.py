"""One process at a time in a folder."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from typing import TextIO

from mmtf.errors import ConfigError
from mmtf.storage.files import remove_files


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
    """`hold` for a file alone, beside which `.<its name>.lock` is left."""
    folder, name = os.path.split(os.path.abspath(path))
    return hold(folder, f".{name}.lock")
