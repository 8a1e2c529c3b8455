"""`--dataset=NAME`: the embedded digits, or any image classification of TensorFlow Datasets."""

from mmtf.data import preprocessing
from mmtf.data.dataset import Dataset
from mmtf.data.digits import load_digits
from mmtf.data.tfds_source import load_tfds

EMBEDDED = "digits"

# The paper's own preprocessing (App. B); every other dataset is scaled to the box.
_PREPROCESSING = {"cifar10": preprocessing.standardize_per_image}


def load_data(name: str = "mnist", data_dir: str | None = None) -> Dataset:
    """The dataset called `name`.

    Args:
      name: `digits` (embedded), `mnist`, `cifar10`, or another TFDS image classification.
      data_dir: see `mmtf.data.tfds_source.load_tfds`.

    Raises:
      DataError: unknown name or unusable data; NotPreparedError when its files are not here and
        cannot be had.

    Example:
      >>> load_data("digits").test_images.shape
      (360, 28, 28, 1)
    """
    if name == EMBEDDED:
        return load_digits()
    preprocess = _PREPROCESSING.get(name, preprocessing.to_unit_box)
    return load_tfds(name, preprocess, data_dir)
