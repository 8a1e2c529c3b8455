"""A cache of results in files; a file name contains a hash of all that the result depends on."""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mmtf.runtime.console import say
from mmtf.storage.digest import sha256
from mmtf.storage.files import UNREADABLE, write_atomically
from mmtf.storage.provenance import source_digest

T = TypeVar("T")
KEY_DIGITS = 24


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of a cache, whether or not its file exists yet.

    Attributes:
      path: path of the file; None: there is no cache, `load` returns None and `save` does nothing.
    """

    path: str | None

    def is_kept(self) -> bool:
        """Whether the file exists."""
        return self.path is not None and os.path.exists(self.path)

    def beside(self, suffix: str) -> str:
        """The path with another suffix, for a file or folder that belongs to the entry.

        Args:
          suffix: suffix in place of the file's, such as `.json`; "" for a folder.
        """
        return os.path.splitext(self.path or "")[0] + suffix

    def load(
        self, read: Callable[[str], T], errors: tuple[type[Exception], ...] = UNREADABLE
    ) -> T | None:
        """Returns read(path), or None if the file does not exist or is damaged.

        For a damaged file a line is printed on stderr; the caller then computes the result again.

        Args:
          read: function of the path.
          errors: exceptions that `read` raises for a damaged file.
        """
        if self.path is None or not os.path.exists(self.path):
            return None
        try:
            return read(self.path)
        except errors as error:
            say(f"! {self.path} cannot be read ({error}); its content is computed again.")
            return None

    def save(self, write: Callable[[str], Any]) -> None:
        """Writes the file atomically: calls write(temporary path), then renames the file.

        Args:
          write: function of the temporary path. If it raises, no file is left.
        """
        if self.path is not None:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            write_atomically(self.path, write)


def entry(folder: str | None, values: Sequence[Any], suffix: str, prefix: str = "") -> Entry:
    """The cache entry of a result that depends on `values` and on mmtf's source code.

    Args:
      folder: folder of the cache; None: there is no cache.
      values: JSON types that determine the result: names, settings, fingerprints.
      suffix: suffix of the file, such as `.npz`.
      prefix: first part of the file's name, before the hash.

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
