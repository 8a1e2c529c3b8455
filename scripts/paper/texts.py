"""Reads the Markdown texts of this folder."""

import dataclasses
import pathlib
import re

_SECTION = re.compile(r"^## (\d+)\. (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Section:
    """A section that begins with `## <number>. <title>`.

    Attributes:
      title: the title without its number.
      paragraphs: the paragraphs, each as one line.
    """

    title: str
    paragraphs: tuple[str, ...]


def sections(name: str) -> dict[int, Section]:
    """Returns number -> section of the file `name` in this folder.

    Example:
      >>> sections("claims.md")[1].title
      'FGSM breaks the undefended net'
    """
    found = _SECTION.findall(_read(name))
    return {int(number): Section(title, _paragraphs(text)) for number, title, text in found}


def introduction(name: str) -> tuple[str, ...]:
    """Returns the paragraphs before the first section, beginning with the title."""
    return _paragraphs(re.split(r"^## ", _read(name), maxsplit=1, flags=re.MULTILINE)[0])


def _read(name: str) -> str:
    return pathlib.Path(__file__).with_name(name).read_text()


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.strip().split("\n\n"))
