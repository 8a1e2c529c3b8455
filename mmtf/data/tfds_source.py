"""Loads image-classification datasets of TensorFlow Datasets (TFDS)."""

import os
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import DataError, Dataset
from mmtf.registry import base_name

DOWNLOAD_HOST = "storage.googleapis.com"


class NotPreparedError(DataError):
    """The files of the dataset are missing and could not be downloaded or prepared."""


def default_data_dir() -> str:
    """The environment variable TFDS_DATA_DIR if set, else `~/tensorflow_datasets`."""
    return os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")


def load_tfds(
    name: str, preprocess: Callable[[tf.Tensor], tf.Tensor], data_dir: str | None = None
) -> Dataset:
    """Loads a whole TFDS dataset into memory; downloads and prepares it first if necessary.

    Args:
      name: a TFDS dataset with the features `image` (uint8, one size) and `label`, and the splits
        `train` and `test` (or `validation`).
      preprocess: see `Dataset`.
      data_dir: folder of TFDS' prepared files; None: `default_data_dir()`.

    Raises:
      DataError: TFDS does not have the dataset, it is not an image classification with images of
        one size, or its files are damaged.
      NotPreparedError: the files are missing and could not be downloaded or prepared.
    """
    # Imported here: a run on embedded or user data does not need it.
    import tensorflow_datasets as tfds

    data_dir = os.path.expanduser(data_dir or default_data_dir())
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ImportError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"Expected a dataset that mmtf or TensorFlow Datasets knows by name. "
            f"Received: {name!r} ({_first_line(error)})."
        ) from error
    image, label = _features(builder, name)
    if not _prepared(builder):
        _prepare(builder, name, data_dir)
    splits = builder.info.splits
    test_split = "test" if "test" in splits else "validation"
    if "train" not in splits or test_split not in splits:
        raise DataError(
            f"Expected splits train and test (or validation) in {name!r}. "
            f"Received: {', '.join(splits)}."
        )
    train_images, train_labels = _read(builder, "train", image, label)
    test_images, test_labels = _read(builder, test_split, image, label)
    return Dataset(
        name=name,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        num_classes=builder.info.features[label].num_classes,
        preprocess=preprocess,
        note=_note(name, len(test_images)),
    )


OFFICIAL_TEST_COUNTS = {"mnist": 10_000, "cifar10": 10_000}


def _note(name: str, count: int) -> str:
    official = OFFICIAL_TEST_COUNTS.get(base_name(name), count)
    return f"{count:,} of the {official:,} official test images" if count != official else ""


def _prepared(builder: Any) -> bool:
    # `is_prepared` is also true for a folder whose data files were removed.
    return builder.is_prepared() and all(
        os.path.exists(path) for split in builder.info.splits.values() for path in split.filepaths
    )


def _prepare(builder: Any, name: str, data_dir: str) -> None:
    # Without a network a download takes minutes to fail; resolving the host's name does not.
    try:
        socket.getaddrinfo(DOWNLOAD_HOST, 443)
    except OSError as error:
        raise NotPreparedError(
            f"Expected the prepared dataset {name!r} in {data_dir!r}, or a network connection. "
            f"Received: no network ({_first_line(error)}). Prepare it on a machine with a network "
            f"and copy the folder."
        ) from error
    # mnist and fashion_mnist have files of the same names, so each gets its own cache.
    import tensorflow_datasets as tfds

    folder = os.path.join(data_dir, "downloads")
    config = tfds.download.DownloadConfig(
        extract_dir=os.path.join(folder, "extracted", name),
        manual_dir=os.path.join(folder, "manual"),
    )
    try:
        builder.download_and_prepare(download_config=config)
    except Exception as error:  # TFDS raises whatever its download and parsing layers raise
        raise NotPreparedError(
            f"Expected to download and prepare {name!r} in {data_dir!r}. "
            f"Received: {type(error).__name__}: {_first_line(error)}. Prepare it on another "
            f"machine and copy the folder."
        ) from error


def _features(builder: Any, name: str) -> tuple[str, str]:
    features = builder.info.features
    image = "image" if "image" in features else None
    label = "label" if "label" in features and hasattr(features["label"], "num_classes") else None
    if image is None or label is None:
        raise DataError(
            f"Expected image classification with features 'image' and 'label' in {name!r}. "
            f"Received: {', '.join(features)}."
        )
    kind = tf.as_dtype(features[image].dtype)
    if kind != tf.uint8:
        raise DataError(
            f"Expected images of 8 bits (uint8) in {name!r}. Received: {kind.name}. Convert them "
            "and pass an mmtf.Dataset to mmtf.train."
        )
    shape = features[image].shape
    if None in shape:
        raise DataError(
            f"Expected images of one size in {name!r}. Received: shape {shape}. Resize them and "
            f"pass an mmtf.Dataset to mmtf.train."
        )
    return image, label


def _read(builder: Any, split: str, image: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    # Files are read one after another, so that the order of the examples is always the same.
    import tensorflow_datasets as tfds

    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    count = builder.info.splits[split].num_examples
    images = np.empty((count, *builder.info.features[image].shape), np.uint8)
    labels = np.empty(count, np.int32)
    position = 0
    try:
        dataset = builder.as_dataset(split=split, shuffle_files=False, read_config=config)
        for batch in dataset.batch(1000).as_numpy_iterator():
            stop = position + len(batch[label])
            images[position:stop], labels[position:stop] = batch[image], batch[label]
            position = stop
    except (tf.errors.OpError, KeyError) as error:
        raise DataError(
            f"Expected readable files of {builder.name!r} in {builder.data_dir!s}. "
            f"Received: {type(error).__name__}: {_first_line(error)}. Delete that folder and "
            f"prepare it again."
        ) from error
    if position != count:
        raise DataError(
            f"Expected {count} examples in split {split!r} of {builder.name!r}. "
            f"Received: {position}. Delete {builder.data_dir!s} and prepare it again."
        )
    return images, labels


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
