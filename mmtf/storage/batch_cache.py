"""Stores adversarial images batch by batch, so that an interrupted evaluation can resume."""

import os
from collections.abc import MutableMapping

import numpy as np

from mmtf.storage.files import UNREADABLE, remove_files, write_atomically


class BatchCache(MutableMapping):
    """A mapping from batch numbers (int >= 0) to images float32 [n, H, W, C], one file per batch.

    Args:
      folder: folder of the files; it is created with the first batch.

    Raises:
      KeyError: on look-up of a batch whose file is missing or damaged.
    """

    def __init__(self, folder: str):
        self._folder = folder

    def __getitem__(self, number):
        try:
            return np.load(self._path(number), allow_pickle=False)
        except UNREADABLE as error:
            raise KeyError(number) from error

    def __setitem__(self, number, images):
        os.makedirs(self._folder, exist_ok=True)
        write_atomically(self._path(number), lambda path: _save(path, images))

    def __delitem__(self, number):
        os.remove(self._path(number))

    def __iter__(self):
        names = os.listdir(self._folder) if os.path.isdir(self._folder) else []
        whole = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
        return iter(sorted(int(name) for name in whole if name.isdigit()))

    def __len__(self):
        return sum(1 for _ in self)

    def clear(self) -> None:
        """Deletes all batches, and the folder if it has nothing else."""
        remove_files(self._folder, [f"{number}.npy" for number in self])

    def _path(self, number):
        return os.path.join(self._folder, f"{number}.npy")


def _save(path, images):
    with open(path, "wb") as target:
        np.save(target, images)
