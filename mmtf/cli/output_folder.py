"""The folder --output of a command: held while it runs, and only if it is the command's own."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from mmtf.cli.errors import about
from mmtf.errors import ConfigError, require
from mmtf.runs.reading import is_run
from mmtf.storage.files import remove_partial
from mmtf.storage.lock import hold_new


@contextlib.contextmanager
def claimed(folder: str, files: Sequence[str]) -> Iterator[str]:
    """Holds the folder and makes its subfolder `cells`, whose path it yields.

    Args:
      folder: of --output.
      files: names that the command writes into it.

    Raises:
      ConfigError: the folder is a workdir, or holds one of the files but is not of this command.
    """
    require(not is_run(folder), "an --output folder of its own", f"{folder}, a workdir of mmtf.run")
    cells = os.path.join(folder, "cells")
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
        remove_partial(folder, cells)
        yield cells
