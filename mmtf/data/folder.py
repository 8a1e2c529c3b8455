"""A folder of images by class as a Dataset: in memory where it fits, else read from the files."""

import dataclasses
import os

import numpy as np
import sklearn.model_selection

from mmtf.data.dataset import Dataset
from mmtf.data.errors import DataError
from mmtf.data.image_files import CHANNELS, ImageFiles, files_by_class, read_files
from mmtf.data.sources import MEMORY_LIMIT_BYTES, ImageSource
from mmtf.errors import require, require_choice, require_number, require_seed

TEST_NAMES = ("test", "validation", "val")


@dataclasses.dataclass(frozen=True)
class _Split:
    paths: list[str]
    labels: np.ndarray


def load_folder(
    path: str,
    *,
    image_size: tuple[int, int] | None = None,
    color: str | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    in_memory: bool | None = None,
    name: str | None = None,
) -> Dataset:
    """Reads a folder of images with one subfolder for each class.

    The folder has `train` and `test` (or `validation`, `val`) with the same classes in each; or
    the classes themselves, of each of which `test_share` of the images become the test split.
    Within both splits the order is a seeded random one, so that the first images are of all
    classes. Every file is decoded once when the folder is loaded, so that a damaged one is found
    before training. Images that do not fit in memory are decoded again whenever they are read;
    batches are then the same as from memory, and a resumed run is bitwise the same.

    Args:
      path: the folder.
      image_size: (height, width) to which all images are resized (bilinear, antialiased, rounded
        to 8 bits); None: all must have one size.
      color: `rgb` or `grayscale`; None: all images must be of one of the two.
      test_share: share of the images of each class in the test split, in (0, 1), if the folder has
        no splits.
      seed: of the split and of the order.
      in_memory: whether the images are kept in memory, as uint8; None: if each split takes up to
        4 GiB.
      name: of the dataset; None: `folder:PATH`.

    Returns:
      A Dataset with the classes' names in `class_names`; its note tells how it was split.

    Raises:
      DataError: no such folder, a class without images, different classes in the splits, a file
        that cannot be decoded, or different sizes without `image_size`.
    """
    if color is not None:
        require_choice("color", color, CHANNELS)
    if image_size is not None:
        pair = isinstance(image_size, tuple | list) and len(image_size) == 2
        good = pair and all(type(one) is int and one > 0 for one in image_size)
        require(good, "image_size=(height, width), integers > 0", image_size)
    require_number("test_share", test_share, above=0, below=1)
    require_seed(seed)
    require_choice("in_memory", in_memory, (None, True, False))
    path = os.path.expanduser(path)
    train, test, names, note = _splits(path, test_share, seed)
    limit = {None: MEMORY_LIMIT_BYTES, True: 2**62, False: -1}[in_memory]
    loaded = {"train": _images(train, image_size, color, limit)}
    loaded["test"] = _images(test, image_size, color, limit)
    if image_size is not None:
        note += f"; images resized to {image_size[0]} x {image_size[1]} where they had another size"
    return Dataset(
        name=name or f"folder:{path}",
        train_images=loaded["train"],
        train_labels=train.labels,
        test_images=loaded["test"],
        test_labels=test.labels,
        num_classes=len(names),
        class_names=names,
        note=note,
    )


def _splits(path: str, test_share: float, seed: int) -> tuple[_Split, _Split, tuple[str, ...], str]:
    """(train, test, names of the classes, a note on the split)."""
    inside = [name for name in TEST_NAMES if os.path.isdir(os.path.join(path, name))]
    if os.path.isdir(os.path.join(path, "train")) and inside:
        parts: list[_Split] = []
        known: tuple[str, ...] = ()
        for part in ("train", inside[0]):
            paths, labels, names = files_by_class(os.path.join(path, part))
            if known and names != known:
                other = ", ".join(sorted(set(names) ^ set(known)))
                raise DataError(
                    f"Expected the same classes in train and {part} of {path}. "
                    f"Received: {other} in only one of them."
                )
            known, order = names, np.random.default_rng(seed).permutation(len(paths))
            parts.append(_Split([paths[i] for i in order], labels[order]))
        return parts[0], parts[1], known, f"{len(parts[1].paths):,} images of {inside[0]}"
    paths, labels, names = files_by_class(path)
    try:
        train, test = sklearn.model_selection.train_test_split(
            np.arange(len(paths)), test_size=test_share, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise DataError(
            f"Expected images enough to hold out {test_share:g} of each class in {path}. Received: "
            f"{np.bincount(labels).tolist()} images of the classes. Give folders train and test, "
            "or another test_share."
        ) from error
    parts = [_Split([paths[i] for i in rows], labels[rows]) for rows in (train, test)]
    note = f"{len(test):,} of {len(paths):,} images held out for the test, {test_share:g} of each "
    return parts[0], parts[1], names, note + f"class, seed {seed}"


def _images(split: _Split, image_size, color, limit) -> np.ndarray | ImageSource:
    images, shape, digest = read_files(split.paths, image_size, color, limit)
    if images is not None:
        return images
    return ImageFiles(split.paths, shape, digest, resize=image_size is not None)
