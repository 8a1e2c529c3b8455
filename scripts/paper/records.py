"""Records of cells in JSON lines: a file for each track and radius, a line for each cell."""

import functools
import json
import os
import pathlib
import sys
import time
from typing import TextIO

from mmtf.errors import ConfigError
from mmtf.storage.files import read_json, write_atomically
from mmtf.storage.lock import InUse, hold
from scripts.paper.cells import Cell, Track

RETRY_SECONDS = 0.05
# Older notes of datasets -> their present spelling.
_SPELLING = {"images standardised one by one": "images standardized one by one"}


class Results:
    """The records under a folder; each file is read once.

    Args:
      root: the folder. Records in the old form (see `old_records`) are read, too.
    """

    def __init__(self, root: str):
        self.root = root
        self._read: dict[tuple[Track, float], dict[Cell, dict]] = {}

    def tracks(self) -> list[Track]:
        """Returns the tracks that have a record, those of CIFAR-10 last as in the paper."""
        folders = [path.parent.name for path in pathlib.Path(self.root).glob("*-*-*/eta*")]
        tracks = [Track.parse(name) for name in sorted(set(folders))]
        return sorted(tracks, key=lambda track: track.dataset == "cifar10")

    def record(self, cell: Cell) -> dict | None:
        """Returns the cell's record; None if there is none."""
        return self._at(cell.track, cell.eta).get(cell)

    def of(self, track: Track, eta: float, defense: str, attack: str | None = None) -> list[dict]:
        """Returns a cell's records, ordered by seed; attack None: those of the whole row."""
        return [
            record
            for cell, record in self._at(track, eta).items()
            if cell.defense == defense and attack in (None, cell.attack)
        ]

    def at(self, track: Track, eta: float, seed: int) -> dict[Cell, dict]:
        """Returns all records of one track, radius and seed."""
        return {cell: one for cell, one in self._at(track, eta).items() if cell.seed == seed}

    def _at(self, track: Track, eta: float) -> dict[Cell, dict]:
        if (track, eta) not in self._read:
            found = old_records(self.root, track, eta)
            if found:
                _say_old_form(self.root)
            found |= read_records(self.root, track, eta)
            self._read[track, eta] = dict(sorted(found.items()))
        return self._read[track, eta]


def read_records(root: str, track: Track, eta: float) -> dict[Cell, dict]:
    """Reads the records of a track and radius; returns an empty dict if there is no file.

    Raises:
      ConfigError: a line is not a valid record; the message names it.
    """
    path, found = Cell(track, eta, "", "").path(root), {}
    lines = pathlib.Path(path).read_text().splitlines() if os.path.exists(path) else []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            names = [record[name] for name in ("defense", "attack", "seed")]
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"Expected a cell's record in JSON in line {number} of {path}. Received: {error!r}."
                " Mend or remove the line and start again."
            ) from error
        found[Cell(track, eta, *names)] = record
    return found


def write_record(root: str, cell: Cell, record: dict) -> None:
    """Adds the record of `cell`, in place of its older one.

    The file is locked while it is read, and replaced whole: processes that write at the same time
    wait for one another, and whoever reads, even after a kill, sees whole lines.
    """
    lock = hold_records(root, cell.track, cell.eta)
    try:
        rest = read_records(root, cell.track, cell.eta)
        write_records(root, cell.track, cell.eta, {**rest, cell: record})
    finally:
        lock.close()


def write_records(root: str, track: Track, eta: float, records: dict[Cell, dict]) -> None:
    """Replaces the file of a track and radius, for a process that holds it.

    Lines are in the order of their cells and keys in alphabetical order, so that two versions of a
    file differ in the lines of the cells measured between them.
    """
    text = "".join(
        json.dumps({**records[cell], **_named(cell)}, sort_keys=True, allow_nan=False) + "\n"
        for cell in sorted(records)
    )
    path = Cell(track, eta, "", "").path(root)
    write_atomically(path, lambda temporary: pathlib.Path(temporary).write_text(text))


def hold_records(root: str, track: Track, eta: float) -> TextIO:
    """Locks the file of a track and radius until what is returned is closed; waits for others."""
    while True:
        try:
            folder = os.path.join(root, str(track))
            return hold(folder, f".eta{eta:g}.lock")
        except InUse:
            time.sleep(RETRY_SECONDS)


def old_records(root: str, track: Track, eta: float) -> dict[Cell, dict]:
    """Records in the form of earlier versions: eta<eta>/<defense>/<attack>-seed<seed>.json."""
    return {cell: _respelled(read_json(path)) for cell, path in old_paths(root, track, eta).items()}


def old_paths(root: str, track: Track, eta: float) -> dict[Cell, str]:
    """The files of the old form."""
    found = {}
    for path in pathlib.Path(root, str(track), f"eta{eta:g}").glob("*/*-seed*.json"):
        attack, _, seed = path.stem.rpartition("-seed")
        found[Cell(track, eta, path.parent.name, attack, int(seed))] = str(path)
    return found


def _named(cell: Cell) -> dict:
    return {"defense": cell.defense, "attack": cell.attack, "seed": cell.seed}


def _respelled(record: dict) -> dict:
    for old, new in _SPELLING.items():
        if old in record.get("note", ""):
            record = {**record, "note": record["note"].replace(old, new)}
    return record


@functools.cache
def _say_old_form(root: str) -> None:
    print(
        f"{root} has records in the old form, a file for each cell; `python -m "
        f"scripts.paper.convert {root}` puts them into JSON lines.",
        file=sys.stderr,
    )
