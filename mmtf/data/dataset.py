"""`Dataset`: images and labels in memory, and the preprocessing of the images."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.data import preprocessing
from mmtf.errors import ConfigError, require, require_int, require_text
from mmtf.storage.digest import sha256

BOX = (-1.0, 1.0)


class DataError(ConfigError):
    """Unusable data: the message says what was expected, what was received and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Training and test split of an image classification problem, validated on construction.

    Attributes:
      name: the name in records; for the datasets of `mmtf.load_data`, that of `--dataset`.
      train_images, test_images: NumPy arrays [N, H, W, C]: uint8, or float32 in [-1, 1].
      train_labels, test_labels: integers [N] in [0, num_classes).
      num_classes: number of classes, >= 2.
      preprocess: function uint8 [N, H, W, C] -> float32 [N, H, W, C] in [-1, 1]. It is not applied
        to float32 images.
      note: remark printed with results, for example that the test split is incomplete.

    Raises:
      DataError: images of another rank or type, an empty split, pixels outside [-1, 1] or NaN,
        labels of another shape or outside [0, num_classes), or splits of different image shapes.

    Example:
      >>> x = np.zeros([4, 8, 8, 1], np.float32)
      >>> y = np.array([0, 1, 0, 1])
      >>> Dataset(name="mine", train_images=x, train_labels=y, test_images=x, test_labels=y,
      ...         num_classes=2).image_shape
      (8, 8, 1)
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    preprocess: Callable[[tf.Tensor], tf.Tensor] = preprocessing.to_unit_box
    note: str = ""

    def __post_init__(self) -> None:
        try:
            require_text("name", self.name)
            require_int("num_classes", self.num_classes, at_least=2)
            require(callable(self.preprocess), "preprocess as a function", self.preprocess)
        except ConfigError as error:
            raise DataError(str(error)) from error
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            where = f"the {split} split of {self.name!r}"
            _check_images(images, where)
            _check_labels(labels, len(images), self.num_classes, where)
            object.__setattr__(self, f"{split}_labels", np.asarray(labels, np.int32))
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(
                f"Expected train and test images of one shape. Received: "
                f"{self.train_images.shape[1:]} and {self.test_images.shape[1:]}."
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C): height and width in pixels, number of channels."""
        return tuple(self.train_images.shape[1:])

    @functools.cached_property
    def raw_digest(self) -> str:
        """SHA-256 (hexadecimal) of the training split before `preprocess`.

        Unlike `training_digest` it does not depend on floating-point rounding.
        """
        parts: list[str | np.ndarray] = []
        for array in (self.train_images, self.train_labels):
            parts += [f"{array.dtype} {array.shape}", array]
        return sha256(*parts)

    @functools.cached_property
    def training_digest(self) -> str:
        """SHA-256 (hexadecimal) of the training split and of its preprocessing.

        It is part of the cache key of everything that is trained on the split.
        """
        # The output of `preprocess` stands for the function: two functions may have one name.
        return sha256(np.asarray(self.inputs(self.train_images[:16])), self.raw_digest)

    def inputs(self, images: np.ndarray | tf.Tensor) -> tf.Tensor:
        """The input of a classifier for `images`: float32 [N, H, W, C] in [-1, 1].

        Args:
          images: uint8 [N, H, W, C], to which `preprocess` is applied, or float32, which is
            returned unchanged.
        """
        images = tf.convert_to_tensor(images)
        return self.preprocess(images) if images.dtype == tf.uint8 else images

    def test(self, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` test examples (0: all): inputs float32 [n, H, W, C], labels int32 [n].

        Raises:
          DataError: count < 0.
        """
        return self._inputs_of(self.test_images, self.test_labels, count)

    def train(self, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` training examples (0: all), as `test` returns test examples."""
        return self._inputs_of(self.train_images, self.train_labels, count)

    def holdout(self, count: int, seed: int = 0) -> "Dataset":
        """Splits the training examples into a new training and a new test split.

        It serves to choose hyperparameters: the original test split is left out.

        Args:
          count: number of examples in the new test split, > 0, drawn at random.
          seed: seed of the draw.

        Raises:
          DataError: count is not in (0, number of training examples).
        """
        size = len(self.train_images)
        if not (isinstance(count, int) and 0 < count < size):
            raise DataError(f"Expected 0 < count < {size} held out. Received: {count}.")
        order = np.random.default_rng(seed).permutation(size)
        test, train = order[:count], np.sort(order[count:])
        return dataclasses.replace(
            self,
            name=f"{self.name}_holdout{count}" + (f"_seed{seed}" if seed else ""),
            train_images=self.train_images[train],
            train_labels=self.train_labels[train],
            test_images=self.train_images[test],
            test_labels=self.train_labels[test],
            note="; ".join(
                filter(
                    None,
                    [f"{count} training examples held out; the test split is not used", self.note],
                )
            ),
        )

    def _inputs_of(
        self, images: np.ndarray, labels: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(count, bool) or not hasattr(count, "__index__") or count < 0:
            raise DataError(f"Expected a count >= 0 (0: all). Received: {count}.")
        stop = min(count or len(images), len(images))
        blocks = [
            self.inputs(images[i : min(i + 4096, stop)]).numpy() for i in range(0, stop, 4096)
        ]
        return np.concatenate(blocks), labels[:stop]


def require_dataset(dataset: Any) -> None:
    """Raises ConfigError if `dataset` is not a Dataset, for example an array."""
    require(
        isinstance(dataset, Dataset),
        "an mmtf.Dataset of NumPy arrays, mmtf.Dataset(train_images=..., ...)",
        type(dataset).__name__,
    )


def _check_images(images: Any, where: str) -> None:
    if not isinstance(images, np.ndarray) or images.ndim != 4:
        raise DataError(
            f"Expected images of {where} as a NumPy array [N, H, W, C]. "
            f"Received: {type(images).__name__} of shape {np.shape(images)}."
            + (" For gray images, use images[..., None]." if np.ndim(images) == 3 else "")
        )
    if not images.size:
        raise DataError(f"Expected at least one example in {where}. Received: {images.shape}.")
    if images.dtype == np.uint8:
        return
    if images.dtype != np.float32:
        raise DataError(
            f"Expected uint8 or float32 images in {where}. Received: {images.dtype}. Convert "
            "pixels in [0, 255] with astype('uint8'), pixels in [-1, 1] with astype('float32')."
        )
    low, high = float(images.min()), float(images.max())
    if np.isnan(low) or np.isnan(high):
        raise DataError(f"Expected finite pixels in {where}. Received: NaN.")
    if low < BOX[0] or high > BOX[1]:
        raise DataError(
            f"Expected float pixels of {where} in [-1, 1]. Received: [{low:g}, {high:g}]. "
            f"For pixels in [0, 1], use 2 * x - 1; for [0, 255], pass uint8."
        )


def _check_labels(labels: Any, count: int, num_classes: int, where: str) -> None:
    labels = np.asarray(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        advice = ""
        if labels.ndim == 2:
            one_hot = labels.shape[1] > 1
            advice = (
                " For one-hot labels, use labels.argmax(-1)." if one_hot else " Use labels[:, 0]."
            )
        raise DataError(
            f"Expected {count} integer labels [N] in {where}. "
            f"Received: {labels.dtype} of shape {labels.shape}.{advice}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"Expected labels of {where} in [0, {num_classes}). "
            f"Received: [{labels.min()}, {labels.max()}]."
        )
