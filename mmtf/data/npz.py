"""A NumPy .npz file as a Dataset."""

import os
import zipfile
import zlib

import numpy as np
import sklearn.model_selection

from mmtf.data.dataset import Dataset
from mmtf.data.errors import DataError
from mmtf.errors import require_number, require_seed

# Names of arrays, as in the .npz files of Keras and in those of MedMNIST.
KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
WHOLE = (("x", "y"), ("images", "labels"))
NAMES = "class_names"


def load_npz(
    path: str,
    *,
    pixels: tuple[float, float] | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """Reads the arrays of a .npz file: `x_train`, `y_train`, `x_test`, `y_test`.

    Also known: `train_images`, `train_labels`, `test_images`, `test_labels`; or `x`, `y` (`images`,
    `labels`), which are split by the seed; and `class_names`. Gray images may be [N, H, W]; labels
    are integers, [N] or [N, 1], or one-hot rows. The number of classes is that of `class_names` or
    of the columns, else one more than the largest label. Pickled objects are not read.

    Args:
      path: the file.
      pixels: see `mmtf.Dataset`.
      test_share: share of the examples in the test split, in (0, 1), if the file has no splits.
      seed: of the split.
      name: of the dataset; None: `npz:PATH`.

    Raises:
      DataError: no such file, none of these arrays, or arrays that cannot be used.
    """
    require_number("test_share", test_share, above=0, below=1)
    require_seed(seed)
    arrays = _arrays(os.path.expanduser(path))
    note, found = "", next((keys for keys in KEYS if set(keys) <= set(arrays)), None)
    whole = next((keys for keys in WHOLE if set(keys) <= set(arrays)), None)
    if found is not None:
        parts = [arrays[key] for key in found]
    elif whole is None:
        raise DataError(
            f"Expected arrays {', '.join(KEYS[0])} (or x, y) in {path}. "
            f"Received: {', '.join(arrays) or 'none'}."
        )
    else:
        x, y = (arrays[key] for key in whole)
        if len(x) != len(y) or len(x) < 2:
            raise DataError(f"Expected as many labels as images in {path}, at least two.")
        split = sklearn.model_selection.train_test_split
        rows = split(np.arange(len(x)), test_size=test_share, random_state=seed)
        parts = [array[part] for part in rows for array in (x, y)]
        note = f"{len(rows[1]):,} of {len(x):,} examples held out for the test, seed {seed}"
    names = tuple(map(str, arrays.get(NAMES, ())))
    images, labels = parts[::2], [_column(one) for one in parts[1::2]]
    return Dataset(
        name=name or f"npz:{path}",
        train_images=_with_channels(images[0]),
        train_labels=labels[0],
        test_images=_with_channels(images[1]),
        test_labels=labels[1],
        num_classes=len(names) or _count(labels),
        class_names=names,
        pixels=pixels,
        note=note,
    )


def _arrays(path: str) -> dict[str, np.ndarray]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("a single array")
        with found as opened:
            return {key: opened[key] for key in opened.files}
    except FileNotFoundError as error:
        raise DataError(f"Expected a .npz file. Received: {path}, which is not there.") from error
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"Expected a .npz file of numeric arrays. Received: {path} "
            f"({type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''})."
        ) from error


def _with_channels(images: np.ndarray) -> np.ndarray:
    return images[..., None] if images.ndim == 3 else images


def _column(labels: np.ndarray) -> np.ndarray:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _count(labels: list[np.ndarray]) -> int:
    if labels[0].ndim == 2:
        return labels[0].shape[1]
    if not all(np.issubdtype(one.dtype, np.integer) for one in labels):
        return 2  # any number: the Dataset refuses such labels
    return int(max((one.max() for one in labels if one.size), default=0)) + 1
