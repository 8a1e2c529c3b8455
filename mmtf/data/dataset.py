"""`Dataset`: images and labels, and the preprocessing of the images."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.data import preprocessing
from mmtf.data.errors import DataError
from mmtf.data.labels import class_numbers
from mmtf.data.pixels import as_kept
from mmtf.data.sources import MEMORY_LIMIT_BYTES, ImageSource, Inputs
from mmtf.data.splits import holdout_rows
from mmtf.errors import ConfigError, require, require_choice, require_int, require_text
from mmtf.storage.digest import sha256


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Training and test split of an image classification problem, validated on construction.

    Args:
      pixels: (low, high), the range of the pixels of float images, which are scaled to [-1, 1];
        None: they are in [-1, 1]. The range is never guessed. uint8 pixels are in [0, 255].

    Attributes:
      name: the name in records; for the datasets of `mmtf.load_data`, that of `--dataset`.
      train_images, test_images: NumPy arrays [N, H, W, C]: uint8, or float32 in [-1, 1]; or an
        ImageSource of images that do not fit in memory (`from_tf_data`, `mmtf.load_folder`).
      train_labels, test_labels: integers [N] in [0, num_classes). One-hot rows, of one 1 and zeros,
        are converted.
      num_classes: number of classes, >= 2.
      preprocess: function uint8 [N, H, W, C] -> float32 [N, H, W, C] in [-1, 1]. It is not applied
        to float32 images.
      note: remark printed with results, for example that the test split is incomplete.
      class_names: names of the classes 0, 1, ..., or empty.

    Raises:
      DataError: images of another rank or type, an empty split, pixels outside the range or NaN,
        labels of another shape or outside [0, num_classes), rows that are not one-hot, or splits
        of different image shapes.

    Example:
      >>> x = np.zeros([4, 8, 8, 1], np.float32)
      >>> y = np.array([0, 1, 0, 1])
      >>> Dataset(name="mine", train_images=x, train_labels=y, test_images=x, test_labels=y,
      ...         num_classes=2).image_shape
      (8, 8, 1)
    """

    name: str
    train_images: Any
    train_labels: np.ndarray
    test_images: Any
    test_labels: np.ndarray
    num_classes: int
    preprocess: Callable[[tf.Tensor], tf.Tensor] = preprocessing.to_unit_box
    note: str = ""
    class_names: tuple[str, ...] = ()
    pixels: dataclasses.InitVar[tuple[float, float] | None] = None

    def __post_init__(self, pixels: tuple[float, float] | None) -> None:
        try:
            require_text("name", self.name)
            require_int("num_classes", self.num_classes, at_least=2)
            require(callable(self.preprocess), "preprocess as a function", self.preprocess)
        except ConfigError as error:
            raise DataError(str(error)) from error
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            where = f"the {split} split of {self.name!r}"
            images = _kept_images(images, pixels, where)
            labels = class_numbers(labels, len(images), self.num_classes, where)
            object.__setattr__(self, f"{split}_images", images)
            object.__setattr__(self, f"{split}_labels", labels)
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        names = len(self.class_names)
        if names not in (0, self.num_classes) or len(set(self.class_names)) != names:
            raise DataError(
                f"Expected {self.num_classes} different class names, or none. "
                f"Received: {', '.join(self.class_names)}."
            )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(
                f"Expected train and test images of one shape. Received: "
                f"{self.train_images.shape[1:]} and {self.test_images.shape[1:]}."
            )

    @classmethod
    def from_tf_data(
        cls,
        train: tf.data.Dataset,
        test: tf.data.Dataset,
        *,
        num_classes: int,
        pixels: tuple[float, float] | None = None,
        in_memory: bool | None = None,
        shuffle_buffer: int | None = None,
        name: str = "tf_data",
        **others: Any,
    ) -> "Dataset":
        """Makes a Dataset of two tf.data pipelines, which stream where they do not fit in memory.

        Both pipelines are read once here, to count and check the examples. A split that fits in
        memory is kept as an array. Another one is read again in every epoch of training, in its
        own order and shuffled in a buffer by the seed of the run, and in every pass of an
        evaluation, batch by batch. A run that streams is resumed bitwise if the pipeline gives the
        same elements in the same order each time: to go on it skips what was seen of the epoch. A
        training pipeline that shuffles or augments at random does not; the note then says so. A
        test pipeline that does not is refused.

        Args:
          train, test: elements (image, label), or {"image": ..., "label": ...} as of TensorFlow
            Datasets; single, or in batches of any size. Images [H, W, C] of one shape, uint8 or
            float; labels are integers or one-hot. No weights.
          num_classes: > 1.
          pixels: (low, high), the range of float pixels, required for them.
          in_memory: True or False to decide; None: in memory up to 4 GiB of images a split.
          shuffle_buffer: examples in the buffer that shuffles a stream, > 0; None: 1 GiB of images.
          name: of the dataset.
          **others: further attributes.

        Raises:
          DataError: elements that are not examples, pixels outside of the range, or a test pipeline
            in random order.

        Example:
          >>> images = np.zeros([6, 8, 8, 3], np.float32)
          >>> pipeline = tf.data.Dataset.from_tensor_slices((images, [0, 1, 2, 0, 1, 2])).batch(4)
          >>> Dataset.from_tf_data(pipeline, pipeline, num_classes=3, pixels=(0, 1))
          Dataset('tf_data', 6 training and 6 test images 8 x 8 x 3 of 3 classes, in memory)
        """
        from mmtf.data.pipelines import read_splits

        if shuffle_buffer is not None:
            require_int("shuffle_buffer", shuffle_buffer)
        require_choice("in_memory", in_memory, (None, True, False))
        parts, note = read_splits(train, test, pixels, in_memory, shuffle_buffer)
        return cls(
            name=name,
            num_classes=num_classes,
            note="; ".join(filter(None, [note, others.pop("note", "")])),
            **parts,
            **others,
        )

    def __repr__(self) -> str:
        sizes = f"{len(self.train_images):,} training and {len(self.test_images):,} test images"
        shape, place = " x ".join(map(str, self.image_shape)), "streamed"
        if isinstance(self.train_images, np.ndarray):
            place = "in memory"
        classes = f"of {self.num_classes} classes, {place}"
        return f"Dataset({self.name!r}, {sizes} {shape} {classes})"

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
        images = self.train_images
        if isinstance(images, ImageSource):
            return sha256(f"{images.dtype} {images.shape}", images.digest, self.train_labels)
        for array in (images, self.train_labels):
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

    def test_inputs(self, count: int = 0) -> tuple[np.ndarray | ImageSource, np.ndarray]:
        """As `test`, but images that take more than 4 GiB are read and converted by slices."""
        images, count = self.test_images, min(count or len(self.test_labels), len(self.test_labels))
        if 4 * images[:1].size * count <= MEMORY_LIMIT_BYTES or count < 0:
            return self.test(count)
        digest = images.digest if isinstance(images, ImageSource) else sha256(images)
        digest = sha256(digest, np.asarray(self.inputs(images[:16])))
        return Inputs(images, count, self.inputs, digest), self.test_labels[:count]

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
        train, test = holdout_rows(size, count, seed)
        return dataclasses.replace(
            self,
            name=f"{self.name}_holdout{count}" + (f"_seed{seed}" if seed else ""),
            train_images=_rows(self.train_images, train),
            train_labels=self.train_labels[train],
            test_images=_rows(self.train_images, test),
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
        size = 4 * stop * int(np.prod(self.image_shape))
        if isinstance(images, ImageSource) and size > MEMORY_LIMIT_BYTES:
            raise DataError(
                f"Expected a number of images of {self.name!r} that fits in memory as float32, at "
                f"most {MEMORY_LIMIT_BYTES / 2**30:g} GiB. Received: {stop:,}, {size / 2**30:.1f} "
                "GiB. Give max_examples."
            )
        blocks = [
            self.inputs(images[i : min(i + 4096, stop)]).numpy() for i in range(0, stop, 4096)
        ]
        return np.concatenate(blocks), labels[:stop]


def _rows(images: Any, rows: np.ndarray) -> Any:
    return images.select(rows) if isinstance(images, ImageSource) else images[rows]


def require_dataset(dataset: Any) -> None:
    """Raises ConfigError if `dataset` is not a Dataset, for example an array."""
    require(
        isinstance(dataset, Dataset),
        "an mmtf.Dataset: mmtf.Dataset(train_images=..., ...) of arrays, mmtf.Dataset.from_tf_data"
        "(train, test, num_classes=...) of pipelines, or mmtf.load_folder(path)",
        type(dataset).__name__,
    )


def _kept_images(images: Any, pixels: Any, where: str) -> Any:
    if isinstance(images, ImageSource):  # checked when it was made
        return images
    if not isinstance(images, np.ndarray) or images.ndim != 4:
        raise DataError(
            f"Expected images of {where} as a NumPy array [N, H, W, C]. "
            f"Received: {type(images).__name__} of shape {np.shape(images)}."
            + (" For gray images, use images[..., None]." if np.ndim(images) == 3 else "")
        )
    if not images.size:
        raise DataError(f"Expected at least one example in {where}. Received: {images.shape}.")
    return as_kept(images, pixels, where)
