"""`--dataset=NAME`: the embedded digits, or any image classification of TensorFlow Datasets."""

import dataclasses

from mmtf.data import preprocessing
from mmtf.data.dataset import Dataset
from mmtf.data.digits import load_digits
from mmtf.data.tfds_source import load_tfds
from mmtf.errors import require_choice

EMBEDDED = "digits"

PREPROCESSING = {"box": preprocessing.to_unit_box, "per_image": preprocessing.standardize_per_image}
# The paper's own (App. B); every other dataset is scaled to the box.
OWN = {"cifar10": "per_image"}
NOTES = {"per_image": "images standardized one by one; eta is on their scale"}


def load_data(
    name: str = "mnist", data_dir: str | None = None, *, preprocess: str | None = None
) -> Dataset:
    """The dataset called `name`.

    Args:
      name: `digits` (embedded), `mnist`, `cifar10`, or another TFDS image classification.
      data_dir: see `mmtf.data.tfds_source.load_tfds`.
      preprocess: `box`, pixels scaled to [-1, 1], or `per_image`, also standardized one by one;
        None: `per_image` for cifar10, as in App. B of the paper, and `box` for the others.

    Raises:
      DataError: unknown name or unusable data; NotPreparedError when its files are not here and
        cannot be had.
      ConfigError: unknown preprocessing.

    Example:
      >>> load_data("digits").test_images.shape
      (360, 28, 28, 1)
    """
    preprocess = preprocess or OWN.get(name, "box")
    require_choice("preprocess", preprocess, PREPROCESSING)
    change = PREPROCESSING[preprocess]
    data = load_digits() if name == EMBEDDED else load_tfds(name, change, data_dir)
    note = "; ".join(filter(None, [data.note, NOTES.get(preprocess)]))
    return dataclasses.replace(data, preprocess=change, note=note)
