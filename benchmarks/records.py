"""JSON records of benchmarks, written at once or run by run, and resumable."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from mmtf.errors import ConfigError, require
from mmtf.reports import read_json, write_json
from mmtf.storage.lock import hold_file


def write_record(path: str, record: dict[str, Any]) -> None:
    """Writes `record` to `path` atomically; creates its folder if it does not exist."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    write_json(path, record)


@contextlib.contextmanager
def resumable_record(path: str, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Context manager that locks and yields the record at `path`.

    The caller appends to its `runs` and writes it by `write_record`.

    Args:
      path: path of the record, which need not exist.
      about: the settings that all of its runs share, beside versions, machine and commit.

    Raises:
      ConfigError: an existing record is of another commit, machine or settings, or another process
        is writing it.
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
    """Returns the record at `path` to resume from, or a new one.

    Args:
      path: path of the record, which need not exist.
      about: the settings that all of its runs share.

    Raises:
      ConfigError: an existing record has other settings.
    """
    if not os.path.exists(path):
        return {**about, "runs": []}
    record = read_json(path)
    kept = isinstance(record, dict) and isinstance(record.get("runs", []), list)
    require(kept, f"a record of this benchmark in {path}", record)
    for name, value in about.items():
        if record.get(name) != value:
            raise ConfigError(
                f"Expected a record with {name} {value} in {path}, to resume from. Received: "
                f"{record.get(name)}. Move it away, or give another --output."
            )
    return record
