"""The folder of a command's results: new, or the command's own. Imports no TensorFlow."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from mmtf.cli.errors import about
from mmtf.errors import ConfigError, require
from mmtf.runs.reading import is_run
from mmtf.storage.files import remove_partial
from mmtf.storage.lock import hold_new

CELLS = "cells"


@contextlib.contextmanager
def claimed(folder: str | None, files: Sequence[str]) -> Iterator[str | None]:
    """Context manager that holds the folder of --output and yields its folder of finished parts.

    Args:
      folder: of --output; None: nothing is held, and None is yielded.
      files: names of the files that the command writes. A folder with one of them and without
        finished parts is another's.

    Raises:
      ConfigError: the folder is a workdir of mmtf.run, holds files of something else, cannot be
        written, or is held by another process.
    """
    if folder is None:
        yield None
        return
    require(not is_run(folder), "an --output folder of its own", f"{folder}, a workdir of mmtf.run")
    cells = os.path.join(folder, CELLS)
    taken = [name for name in files if os.path.lexists(os.path.join(folder, name))]
    if taken and not os.path.isdir(cells):
        raise ConfigError(
            f"Expected a new --output folder, or one of this command. Received: {folder}, which "
            f"holds another {', '.join(taken)}. Give another folder."
        )
    with about("--output"):
        held = hold_new(folder)
    with held:
        os.makedirs(cells, exist_ok=True)
        inner = [entry.path for entry in os.scandir(cells) if entry.is_dir()]
        remove_partial(folder, cells, *inner)
        yield cells
