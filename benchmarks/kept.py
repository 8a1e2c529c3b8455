"""A record that grows run by run and goes on where it stopped."""

import contextlib
import os

from mmtf.errors import ConfigError
from mmtf.reports import read_json
from mmtf.storage.lock import hold_file


@contextlib.contextmanager
def kept(path: str, about: dict):
    """The record at `path`, nobody else's while open; its `runs` are to be added to and written.

    Args:
      about: what all of its runs have in common, beside versions, machine and commit.

    Raises:
      ConfigError: the record there is of another commit, machine or job; or it is being written.
    """
    from mmtf.storage.provenance import provenance

    found = provenance()
    names = ("versions", "hardware", "environment", "commit")
    about = {**about, **{name: found[name] for name in names}}
    lock = hold_file(path)
    try:
        yield begin(path, about)
    finally:
        lock.close()


def begin(path: str, about: dict) -> dict:
    """The record at `path` to go on with, or a new one.

    Args:
      about: what all of its runs have in common.

    Raises:
      ConfigError: the record there is of another commit, machine or job.
    """
    if not os.path.exists(path):
        return {**about, "runs": []}
    record = read_json(path)
    for name, value in about.items():
        if record.get(name) != value:
            raise ConfigError(
                f"Expected a record with {name} {value} in {path}, to go on from. Received: "
                f"{record.get(name)}. Move it away, or give another --output."
            )
    return record
