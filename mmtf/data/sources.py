"""Images that are read when they are asked for, where an array would not fit in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mmtf.data.errors import DataError
from mmtf.storage.digest import sha256

# Leaves room for activations on the smallest cards and machines in use.
MEMORY_LIMIT_BYTES = 4 * 2**30


class ImageSource:
    """A sequence of images of one shape, read by slices or rows like an array [N, H, W, C].

    Args:
      shape: (N, H, W, C).
      dtype: uint8, or float32 for pixels in [-1, 1].
      digest: SHA-256 of all images.

    Attributes:
      shape, dtype, digest: as given.
      in_order: whether images can only be read one after the other.
    """

    in_order = False

    def __init__(self, shape: tuple[int, ...], dtype: Any, digest: str):
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.digest = digest

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Number of bytes of all images."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The images of a slice or of row numbers, [n, H, W, C].

        Args:
          rows: a slice without a step or, unless `in_order`, int [n].
        """
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__.")

    def select(self, rows: np.ndarray) -> "ImageSource":
        """The images of some rows, int [n], as a source of their own.

        Raises:
          DataError: they can only be read in order.
        """
        raise DataError(
            "Expected images in memory or in files, to choose some of them. Received: a tf.data "
            "pipeline that streams. Split the pipeline itself, with take and skip."
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype.name})"


class Inputs(ImageSource):
    """The first images of an array or source as a classifier takes them, converted when read.

    Args:
      images: uint8 or float32 [N, H, W, C].
      count: how many; > 0.
      convert: images -> float32 tensor in [-1, 1].
      digest: of all of `images` and of what `convert` does.
    """

    def __init__(self, images: Any, count: int, convert: Callable[[Any], Any], digest: str):
        super().__init__((count, *images.shape[1:]), np.float32, sha256(f"{count} of ", digest))
        self._images, self._convert = images, convert

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        return np.asarray(self._convert(self._images[start:stop]))
