"""tf.data pipelines as images: read whole where they fit in memory, else streamed."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mmtf.data.errors import DataError
from mmtf.data.pixels import BOX, as_kept, require_pixels
from mmtf.data.sources import MEMORY_LIMIT_BYTES, ImageSource
from mmtf.storage.digest import sha256

# Images are read and checked this many at a time.
BLOCK = 256
# The largest buffer in which the examples of a stream are shuffled, unless another is given.
SHUFFLE_BYTES = 2**30


class Pipeline(NamedTuple):
    """What one reading of a pipeline found.

    Attributes:
      images: an array if they fit in memory, else a PipelineImages.
      labels: as they came, [N] or [N, classes].
      repeats: whether the first images came again when the pipeline was read again; True for an
        array.
    """

    images: np.ndarray | ImageSource
    labels: np.ndarray
    repeats: bool = True


class PipelineImages(ImageSource):
    """The images of a tf.data pipeline, read in its order.

    Slices that follow each other are read from one iterator; another one starts again at the first
    element and skips.

    Args:
      examples: pipeline of (image, label), one example an element.
      shape: (N, H, W, C).
      dtype, digest: see `ImageSource`.
      pixels: (low, high), the range of the pipeline's float pixels; None: [-1, 1].
      buffer: examples in the shuffling buffer of `stream`, > 0.
    """

    in_order = True

    def __init__(
        self,
        examples: tf.data.Dataset,
        shape: tuple[int, ...],
        dtype: Any,
        digest: str,
        *,
        pixels: tuple[float, float] | None,
        buffer: int,
    ):
        super().__init__(shape, dtype, digest)
        self.buffer = buffer
        self._examples, self._pixels = examples, pixels
        self._iterator: Iterator = iter(())
        self._position = -1

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        if start != self._position:
            self._iterator = self._examples.skip(start).as_numpy_iterator()
        images = [image for _, (image, _) in zip(range(start, stop), self._iterator, strict=False)]
        self._position = start + len(images)
        if len(images) != max(stop - start, 0):
            raise DataError(
                f"Expected {len(self)} images from the pipeline, as when it was first read. "
                f"Received: {self._position}."
            )
        if not images:
            return np.empty((0, *self.shape[1:]), self.dtype)
        return as_kept(np.stack(images), self._pixels, "the pipeline")

    def stream(self, seed: int, first: int, weights: np.ndarray | None = None) -> tf.data.Dataset:
        """The endless stream of training examples (image, label), from position `first`.

        Position p belongs to epoch p // N, which is the pipeline shuffled in a buffer by a seed of
        its own: the stream is a function of (seed, position) as far as the pipeline gives the same
        elements each time. At most one epoch is read to reach the first position.

        Args:
          seed: >= 0.
          first: position of the first example, >= 0.
          weights: float32 [N], of the examples in the pipeline's order; they become the third
            component of the elements.
        """
        count = len(self)

        def epoch(number):
            # Of this graph alone: the order must not depend on the program's global seed.
            tf.random.set_seed(1)
            own = tf.random.stateless_uniform(
                [], tf.stack([tf.constant(seed, tf.int64), number]), None, None, tf.int64
            )
            examples = self._examples.take(count)
            if weights is not None:
                theirs = tf.data.Dataset.from_tensor_slices(weights)
                examples = tf.data.Dataset.zip(examples, theirs)
                examples = examples.map(lambda example, weight: (*example, weight))
            return examples.shuffle(self.buffer, own, reshuffle_each_iteration=False)

        epochs = tf.data.Dataset.range(first // count, np.iinfo(np.int64).max).flat_map(epoch)
        examples = epochs.skip(first % count) if first % count else epochs
        return examples.map(self._kept, num_parallel_calls=tf.data.AUTOTUNE)

    def _kept(self, image, label, *weight):
        """`as_kept` in the graph; pixels outside of the range stop the pipeline."""
        image = tf.ensure_shape(image, self.shape[1:])
        label = tf.argmax(label, output_type=tf.int32) if label.shape.rank else label
        if image.dtype != tf.uint8:
            low, high = self._pixels or BOX
            message = f"Expected pixels of the pipeline in [{low:g}, {high:g}]."
            inside = tf.reduce_all((image >= low) & (image <= high))
            with tf.control_dependencies([tf.debugging.Assert(inside, [message])]):
                image = (tf.cast(image, tf.float64) - low) * (2.0 / (high - low)) - 1.0
            image = tf.cast(tf.clip_by_value(image, *BOX), tf.float32)
        return image, tf.cast(label, tf.int32), *weight


def read_pipeline(
    pipeline: tf.data.Dataset,
    *,
    pixels: tuple[float, float] | None,
    limit: int,
    buffer: int | None,
    where: str,
) -> Pipeline:
    """Reads a pipeline once: counts, checks the pixels, keeps labels, and images if they fit.

    Args:
      pipeline: elements (image, label) or {"image": ..., "label": ...}, an example or a batch each.
      pixels: (low, high), the range of float pixels; None: uint8.
      limit: bytes of kept images up to which they are returned as an array.
      buffer: of a stream's shuffling, see `PipelineImages`; None: up to 1 GiB of images.
      where: whose images they are, for messages.

    Raises:
      DataError: other elements, images of several shapes, pixels outside of the range, or float
        pixels without a range.
    """
    examples = _examples(pipeline, where)
    spec = examples.element_spec[0]
    if spec.dtype != tf.uint8 and pixels is None:
        raise DataError(
            f"Expected pixels=(low, high) for float images of {where}, as pixels=(0, 1) or (0, 255)"
            f". Received: {spec.dtype.name} images and no range."
        )
    pixels = None if pixels is None else require_pixels(pixels)
    kept: list[np.ndarray] = []
    labels, digest, size = [], hashlib.sha256(), 0
    first: np.ndarray | None = None
    try:
        for images, some in examples.batch(BLOCK).as_numpy_iterator():
            images = as_kept(images, pixels, where)
            first = images if first is None else first
            if images.shape != (len(images), *first.shape[1:]):
                raise DataError(_one_shape(where, f"{first.shape[1:]} and {images.shape[1:]}"))
            size += images.nbytes
            digest.update(images.tobytes())
            labels.append(some)
            kept = [*kept, images] if size <= limit else []
    except tf.errors.InvalidArgumentError as error:  # images of a batch that differ in shape
        raise DataError(_one_shape(where, str(error).splitlines()[0][:160])) from error
    if first is None:
        raise DataError(f"Expected at least one example in {where}. Received: an empty pipeline.")
    found = np.concatenate(labels)
    if size <= limit:
        return Pipeline(np.concatenate(kept), found)
    room = max(SHUFFLE_BYTES // (size // len(found)), 1)
    source = PipelineImages(
        examples,
        (len(found), *first.shape[1:]),
        first.dtype,
        sha256(digest.hexdigest()),
        pixels=pixels,
        buffer=min(buffer or room, len(found)),
    )
    return Pipeline(source, found, np.array_equal(source[: len(first)], first))


def read_splits(
    train: tf.data.Dataset,
    test: tf.data.Dataset,
    pixels: tuple[float, float] | None,
    in_memory: bool | None,
    buffer: int | None,
) -> tuple[dict[str, Any], str]:
    """Reads both splits, see `mmtf.Dataset.from_tf_data`.

    Returns:
      Images and labels, named as the attributes of a Dataset; and a note.

    Raises:
      DataError: see `read_pipeline`; or a test pipeline whose order changes.
    """
    limit = {None: MEMORY_LIMIT_BYTES, True: 2**62, False: -1}[in_memory]
    given: dict[str, Any] = {"pixels": pixels, "limit": limit, "buffer": buffer}
    ours = read_pipeline(train, **given, where="the training pipeline")
    theirs = read_pipeline(test, **given, where="the test pipeline")
    if not theirs.repeats:
        raise DataError(
            "Expected a test pipeline that gives the same images in the same order each time. "
            "Received: one that does not. Remove its shuffling and random augmentation "
            "(shuffle=False of keras.utils.image_dataset_from_directory)."
        )
    note = ""
    if isinstance(ours.images, PipelineImages):
        size = ours.images.buffer * (ours.images.nbytes // len(ours.images)) / 2**30
        note = f"training images stream through a buffer of {ours.images.buffer:,} ({size:.2g} GiB)"
        if not ours.repeats:
            note += ", in another order or form each time: a resumed run is not bitwise the same"
    parts = {"train_images": ours.images, "train_labels": ours.labels}
    return {**parts, "test_images": theirs.images, "test_labels": theirs.labels}, note


def _one_shape(where, received):
    return f"Expected images of {where} of one shape. Received: {received}. Resize them in a map."


def _examples(pipeline: Any, where: str) -> tf.data.Dataset:
    """The pipeline as (image [H, W, C], label) one by one."""
    if not isinstance(pipeline, tf.data.Dataset):
        raise DataError(
            f"Expected {where} as a tf.data.Dataset. Received: {type(pipeline).__name__}. For "
            "arrays use mmtf.Dataset(train_images=..., ...)."
        )
    spec = pipeline.element_spec
    if isinstance(spec, dict) and {"image", "label"} <= set(spec):
        pipeline = pipeline.map(lambda element: (element["image"], element["label"]))
        spec = pipeline.element_spec
    pair = isinstance(spec, tuple) and len(spec) == 2
    ranks = [getattr(one, "shape", tf.TensorShape(None)).rank for one in spec] if pair else []
    if pair and ranks[0] == 4 and ranks[1] in (1, 2):
        return pipeline.unbatch()
    if not (pair and ranks[0] == 3 and ranks[1] in (0, 1)):
        raise DataError(
            f"Expected elements (image [H, W, C], label) of {where}, single or in batches. "
            f"Received: {spec}. Without weights; gray images need an axis of one channel."
        )
    return pipeline
