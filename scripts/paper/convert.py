"""Converts records of the old form, a JSON file for each cell, to JSON lines.

    python -m scripts.paper.convert results/cells

The old files of a track and radius are removed once the new file is written and read back.
"""

import os
import pathlib
import sys

from mmtf.errors import ConfigError, require
from scripts.paper.cells import Track
from scripts.paper.records import (
    hold_records,
    old_paths,
    old_records,
    read_records,
    write_records,
)


def convert(root: str) -> list[str]:
    """Converts every track and radius under `root`; a line for each, with its numbers of cells.

    A cell that is in both forms keeps its record in JSON lines, which is the newer one.
    """
    told = []
    for folder in sorted(pathlib.Path(root).glob("*-*-*/eta*/")):
        track, eta = Track.parse(folder.parent.name), float(folder.name.removeprefix("eta"))
        paths = old_paths(root, track, eta)
        if not paths:
            continue
        with hold_records(root, track, eta):
            old, there = old_records(root, track, eta), read_records(root, track, eta)
            wanted = {**old, **there}
            write_records(root, track, eta, wanted)
            written = read_records(root, track, eta)
            lost = [cell for cell in wanted if written[cell] != {**written[cell], **wanted[cell]}]
            require(not lost, f"the same records in {folder}.jsonl as in {folder}", lost)
            for path in paths.values():
                os.unlink(path)
            _remove_empty(folder)
        told.append(
            f"{folder}.jsonl: {len(written)} cells, {len(old)} of them converted"
            + (f" ({len(old.keys() & there.keys())} were there already)." if there else ".")
        )
    return told


def main(argv: list[str]) -> int:
    """`argv`: the command and a folder. Returns the exit status."""
    if len(argv) != 2 or not os.path.isdir(argv[1]):
        print(f"convert: Expected one folder of records. Received: {argv[1:]}.", file=sys.stderr)
        return 1
    try:
        told = convert(argv[1])
    except (ConfigError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    print("\n".join(told or [f"{argv[1]} has no records in the old form."]))
    return 0


def _remove_empty(folder: pathlib.Path) -> None:
    for each in (*folder.iterdir(), folder):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
