"""One process at a time in a folder."""

import fcntl
import os

from mmtf.config import ConfigError


class InUse(ConfigError):
    """Another process holds the folder."""


def hold(folder: str, flag: str):
    """Makes `folder` and locks it until the returned file is closed or the process ends.

    Args:
      folder: any path; gets a file `.lock`.
      flag: the command line's name of it, for messages.

    Raises:
      ConfigError: the folder cannot be written.
      InUse: another process holds it.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        lock = open(os.path.join(folder, ".lock"), "a+")  # noqa: SIM115 (held by the caller)
    except OSError as error:
        raise ConfigError(
            f"Expected a {flag} that can be written. Received: {folder} ({error.strerror})."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise InUse(
            f"Expected a {flag} that no other process uses. Received: {folder}, which another run "
            f"holds. Wait for it, or give another {flag}."
        ) from error
    return lock
