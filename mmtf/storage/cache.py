"""What takes long is made once: files of a folder, each named by a key of what decides it."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mmtf.storage.digest import sha256
from mmtf.storage.files import UNREADABLE, write_atomically
from mmtf.storage.provenance import source_digest

T = TypeVar("T")
KEY_DIGITS = 24


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of a cache, or none where nothing is kept.

    Attributes:
      path: of the file; None: nothing is kept, `load` finds nothing and `save` writes nothing.
    """

    path: str | None

    def is_kept(self) -> bool:
        """Whether the file is there."""
        return self.path is not None and os.path.exists(self.path)

    def beside(self, suffix: str) -> str:
        """The path with another suffix, for what belongs to the file; only of one that is kept.

        Args:
          suffix: as `.json`; empty for a folder.
        """
        return os.path.splitext(self.path or "")[0] + suffix

    def load(
        self, read: Callable[[str], T], errors: tuple[type[Exception], ...] = UNREADABLE
    ) -> T | None:
        """What `read` makes of the file; None where there is none, or one that cannot be read.

        Of the latter a line on stderr tells. It is then made again, as if it were not there.

        Args:
          read: called with the path.
          errors: what `read` raises where the file is damaged.
        """
        if self.path is None or not os.path.exists(self.path):
            return None
        try:
            return read(self.path)
        except errors as error:
            line = f"! {self.path} cannot be read ({error}); its content is made again."
            print(line, file=sys.stderr, flush=True)
            return None

    def save(self, write: Callable[[str], Any]) -> None:
        """Calls write(temporary path) and gives the file its name, whole or not at all."""
        if self.path is not None:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            write_atomically(self.path, write)


def entry(folder: str | None, values: Sequence[Any], suffix: str, prefix: str = "") -> Entry:
    """The file for what `values` and mmtf's own code decide.

    Args:
      folder: of the cache; None: nothing is kept.
      values: plain data, as JSON has it, and strings: names, settings, fingerprints.
      suffix: of the file, as `.npz`.
      prefix: of its name.

    Example:
      >>> entry(None, ["any"], ".npz").load(open) is None
      True
      >>> name = entry("cells", [0.3, "pgd"], ".npz").path
      >>> name == entry("cells", [0.3, "pgd"], ".npz").path != entry("cells", [0.3], ".npz").path
      True
    """
    if folder is None:
        return Entry(None)
    key = sha256(json.dumps([*values, source_digest()], sort_keys=True))[:KEY_DIGITS]
    return Entry(os.path.join(folder, f"{prefix}{key}{suffix}"))
