"""Datasets named by a path: `folder:PATH` and `npz:PATH`, with options after commas."""

import re
from collections.abc import Callable
from typing import Any

from mmtf.data.dataset import Dataset
from mmtf.data.errors import DataError
from mmtf.data.folder import load_folder
from mmtf.data.npz import load_npz


def load_path(name: str) -> Dataset:
    """The dataset of a name such as `folder:photos,image_size=64x64,color=rgb`.

    Options of `folder` are image_size (HEIGHTxWIDTH), color, test_share and seed, those of `npz`
    pixels (LOW:HIGH), test_share and seed; see `mmtf.load_folder` and `mmtf.load_npz`.

    Args:
      name: `folder:PATH` or `npz:PATH`, then options `,name=value`.

    Raises:
      DataError: an unknown option, a value that is none, or unusable data.
    """
    kind, _, rest = name.partition(":")
    load, known = KINDS[kind]
    path, *given = re.split(r",(?=[a-z_]+=)", rest)
    options = {}
    for one in given:
        option, _, text = one.partition("=")
        if option not in known:
            raise DataError(
                f"Expected options of {kind}: among {', '.join(known)}. Received: {one}."
            )
        wanted, read = known[option]
        try:
            options[option] = read(text)
        except ValueError as error:
            raise DataError(f"Expected {option}={wanted}. Received: {one}.") from error
    if not path:
        raise DataError(f"Expected {kind}:PATH. Received: {name}.")
    return load(path, name=name, **options)


def _size(text: str) -> tuple[int, ...]:
    height, width = text.split("x")
    return int(height), int(width)


def _range(text: str) -> tuple[float, ...]:
    low, high = text.split(":")
    return float(low), float(high)


Option = tuple[str, Callable[[str], Any]]
SPLIT: dict[str, Option] = {"test_share": ("SHARE, as 0.2", float), "seed": ("NUMBER", int)}
FOLDER: dict[str, Option] = {
    "image_size": ("HEIGHTxWIDTH, as 64x64", _size),
    "color": ("rgb or grayscale", str),
    **SPLIT,
}
NPZ: dict[str, Option] = {"pixels": ("LOW:HIGH, as 0:1", _range), **SPLIT}
# Kind -> the function that loads it, and option -> (how it is written, how it is read).
KINDS: dict[str, tuple[Callable[..., Dataset], dict[str, Option]]] = {
    "folder": (load_folder, FOLDER),
    "npz": (load_npz, NPZ),
}
