"""The JSON records that benchmarks write: whole, or run by run, going on where they stopped."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from mmtf.errors import ConfigError
from mmtf.reports import read_json, write_json
from mmtf.storage.lock import hold_file


def write_record(path: str, record: dict[str, Any]) -> None:
    """Writes `record` to `path`, atomically; makes its folder where there is none."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    write_json(path, record)


@contextlib.contextmanager
def resumable_record(path: str, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Context manager: the record at `path`, locked, whose `runs` the caller appends to and writes.

    Args:
      path: of the record, which need not exist.
      about: what all of its runs have in common, beside versions, machine and commit.

    Raises:
      ConfigError: the record there is of another commit, machine or job, or another process is
        writing it.
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


def begin(path: str, about: dict[str, Any]) -> dict[str, Any]:
    """The record at `path` to go on with, or a new one.

    Args:
      path: of the record, which need not exist.
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
