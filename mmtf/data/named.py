"""Loads a dataset by name: `digits`, one of TensorFlow Datasets, or a user's own."""

import dataclasses

from mmtf.config import STANDARDIZED
from mmtf.data import preprocessing
from mmtf.data.dataset import Dataset
from mmtf.data.digits import load_digits
from mmtf.data.paths import load_path
from mmtf.data.tfds_source import load_tfds
from mmtf.errors import require, require_choice, require_text
from mmtf.registry import base_name, imported, is_file, is_place

EMBEDDED = "digits"

PREPROCESSING = {"box": preprocessing.to_unit_box, "per_image": preprocessing.standardize_per_image}
# App. B of the paper; the default for all other datasets is `box`.
OWN = dict.fromkeys(STANDARDIZED, "per_image")
NOTES = {"per_image": "images standardized one by one; eta is on their scale"}


def load_data(
    name: str = "mnist", data_dir: str | None = None, *, preprocess: str | None = None
) -> Dataset:
    """Loads a dataset into memory.

    Args:
      name: `digits` (installed with scikit-learn), `mnist`, `cifar10`, or the name of another
        image-classification dataset of TensorFlow Datasets (TFDS); or `module:attribute` of a
        `Dataset`, or of a function without arguments that returns one; or `folder:PATH`, images by
        class, or `npz:PATH`, arrays, each with options after commas (`mmtf.data.paths.load_path`).
      data_dir: folder of TFDS (`mmtf.data.tfds_source.load_tfds`).
      preprocess: `box`: x / 127.5 - 1; or `per_image`: each image is standardized by its own mean
        and deviation, clipped and scaled to [-1, 1] (`mmtf.data.standardize_per_image`). None:
        `per_image` for cifar10 of any version, as in App. B of the paper, and `box` for the others;
        a user's own Dataset keeps its own.

    Returns:
      The Dataset; `name` is its name.

    Raises:
      DataError: an unknown name, or unusable data.
      NotPreparedError: the files are missing and cannot be downloaded.
      ConfigError: an unknown preprocessing, or no Dataset at `module:attribute`.

    Example:
      >>> load_data("digits").test_images.shape
      (360, 28, 28, 1)
    """
    require_text("name", name)
    if is_place(name) and preprocess is None:
        return _of_the_user(name)
    preprocess = preprocess or OWN.get(base_name(name), "box")
    require_choice("preprocess", preprocess, PREPROCESSING)
    change = PREPROCESSING[preprocess]
    if is_place(name):
        data = _of_the_user(name)
    elif is_file(name):
        data = load_path(name)
    else:
        data = load_digits() if name == EMBEDDED else load_tfds(name, change, data_dir)
    note = "; ".join(filter(None, [data.note, NOTES.get(preprocess)]))
    return dataclasses.replace(data, preprocess=change, note=note)


def _of_the_user(place: str) -> Dataset:
    found = imported("dataset", place)
    if callable(found):
        found = found()
    wanted = "dataset as an mmtf.Dataset, or as a function without arguments that returns one"
    require(isinstance(found, Dataset), wanted, f"{type(found).__name__} at {place}")
    return dataclasses.replace(found, name=place)
