"""The files that a command leaves in its folder. Imports no TensorFlow."""

import os
from collections.abc import Callable
from typing import Any

from mmtf.errors import ConfigError
from mmtf.runtime.console import say
from mmtf.storage.files import write_atomically, write_json, write_text


class Results:
    """Writes a command's results, each file whole or not at all, and lists them at the end.

    Args:
      folder: of --output; it exists.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self.names: list[str] = []

    def path(self, *names: str) -> str:
        """The path of a file or folder that is not listed, such as a part of a listed folder."""
        return os.path.join(self.folder, *names)

    def add(self, name: str) -> str:
        """Lists a file or folder that the caller writes; returns its path."""
        self.names.append(name)
        return self.path(name)

    def json(self, name: str, value: Any) -> None:
        """Writes a JSON file."""
        write_json(self.add(name), value)

    def text(self, name: str, text: str) -> None:
        """Writes a text file."""
        write_text(self.add(name), text)

    def figure(self, name: str, draw: Callable[[str], Any]) -> None:
        """Writes a figure by draw(path), or says why there is none: matplotlib is optional."""
        try:
            write_atomically(self.path(name), draw)
        except ConfigError as error:
            say(f"No figure: {error}")
        else:
            self.names.append(name)

    def tell(self) -> None:
        """Prints where the results are."""
        print(f"\nEverything is in {self.folder}: {', '.join(self.names)}.")
