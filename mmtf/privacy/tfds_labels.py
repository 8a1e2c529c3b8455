"""Datasets of TensorFlow Datasets with two labels."""

from typing import Any

import numpy as np

from mmtf.errors import ConfigError, reason_of, require
from mmtf.privacy.examples import PrivacyData

PIXELS = 255.0


def load_tfds(
    name: str, target: str | None, private: str | None, data_dir: str | None = None
) -> PrivacyData:
    """Loads the splits `train` and `test` of a dataset of TensorFlow Datasets.

    Args:
      name: name of the dataset, whose images are in its feature `image`.
      target, private: the features with the labels; a feature inside another one is written with a
        slash: `attributes/Male`. Whole numbers and booleans are labels as they are; other numbers
        become two classes, split at the median of the training examples.
      data_dir: folder of TensorFlow Datasets; None: $TFDS_DATA_DIR.

    Raises:
      ConfigError: a feature is not given or does not exist, or the dataset cannot be read.
    """
    given = bool(target) and bool(private)
    require(given, "--target=FEATURE and --private=FEATURE for tfds", (target, private))
    import tensorflow_datasets as tfds

    try:
        parts = [
            tfds.as_numpy(tfds.load(name, split=split, data_dir=data_dir, download=False))
            for split in ("train", "test")
        ]
    except Exception as error:  # TFDS raises many kinds for datasets that are missing or damaged
        raise ConfigError(
            f"Expected a prepared dataset of TFDS with the splits train and test. Received: "
            f"{name!r} ({reason_of(error)})."
        ) from error
    train, test = (_arrays(part, (str(target), str(private))) for part in parts)
    columns = [_classes(a, b) for a, b in zip(train[1:], test[1:], strict=True)]
    (target_train, target_test), (private_train, private_test) = columns
    return PrivacyData(
        name,
        train[0],
        target_train,
        private_train,
        test[0],
        target_test,
        private_test,
        str(target),
        str(private),
    )


def _arrays(part: Any, features: tuple[str, str]) -> list[np.ndarray]:
    images: list[np.ndarray] = []
    labels: tuple[list, list] = ([], [])
    for example in part:
        images.append(np.asarray(_feature(example, "image"), np.float32) / PIXELS)
        for column, feature in zip(labels, features, strict=True):
            column.append(_feature(example, feature))
    shapes = {image.shape for image in images}
    require(len(shapes) == 1, "images of one size", sorted(shapes)[:3])
    return [np.stack(images), *(np.asarray(column) for column in labels)]


def _feature(example: Any, path: str) -> Any:
    value = example
    for key in path.split("/"):
        known = sorted(value) if isinstance(value, dict) else []
        require(key in known, f"the feature {path!r}, one of: {', '.join(known)}", key)
        value = value[key]
    return value


def _classes(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    good = train.ndim == 1 and train.dtype.kind in "iubf"
    received = f"{train.dtype} of shape {train.shape}"
    require(good, "features of one number for each example (attributes/Male)", received)
    if train.dtype.kind in "iub":
        return train.astype(np.int32), test.astype(np.int32)
    middle = np.median(train)
    return (train > middle).astype(np.int32), (test > middle).astype(np.int32)
