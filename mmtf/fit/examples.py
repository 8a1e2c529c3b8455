"""Images and labels as `fit` gets them: their forms, their range, the first of them."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.errors import ConfigError, require


def labels_of(y: Any, classes: int) -> tf.Tensor:
    """Labels int32 [N] from integers [N] or [N, 1], or from one-hot rows [N, classes].

    Raises:
      ConfigError: no labels, or another shape.
    """
    if y is None:
        raise ConfigError("Expected labels beside the images, as fit(x, y). Received: None.")
    y = tf.convert_to_tensor(y)
    if y.shape.rank == 2 and y.shape[1] == classes:
        return tf.argmax(y, -1, tf.int32)
    if y.shape.rank == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape.rank != 1:
        raise ConfigError(
            f"Expected labels as integers [N] or one-hot rows [N, {classes}]. Received: shape "
            f"{tuple(y.shape) if y.shape.rank is not None else None}."
        )
    return tf.cast(y, tf.int32)


def is_one_hot(y: Any, classes: int) -> bool:
    """Whether labels are rows of `classes` values."""
    return len(y.shape) == 2 and y.shape[1] == classes


def in_box(
    x: Any, bounds: tuple[float, float], box: tuple[float, float], *, clip: bool = True
) -> tf.Tensor:
    """Maps images with pixels in `bounds` to float32 images in `box`, of the same shape.

    Args:
      x: images, [N, ...].
      bounds, box: (low, high).
      clip: whether the result is clipped to the box, out of which rounding may lead.
    """
    x = tf.cast(x, tf.float32)
    if bounds == box:
        return x
    (low, high), (least, most) = bounds, box
    z = least + (x - low) * ((most - least) / (high - low))
    return tf.clip_by_value(z, least, most) if clip else z


def checked(x: Any, y: Any, bounds: tuple[float, float], classes: int) -> Any:
    """`x`, after an assertion on its pixels and on one-hot labels that holds in graphs, too.

    XLA drops it. `told_in_one_line` shortens its error.
    """
    pixels = tf.cast(x, tf.float32)
    least, most = tf.reduce_min(pixels), tf.reduce_max(pixels)
    right = (least >= bounds[0]) & (most <= bounds[1])
    tests = [tf.debugging.Assert(right, [_range_text(bounds), least, most])]
    if is_one_hot(y, classes):
        rows = tf.cast(y, tf.float32)
        hard = tf.reduce_all((tf.reduce_max(rows, -1) == 1.0) & (tf.reduce_sum(rows, -1) == 1.0))
        text = "Expected one-hot labels, one 1 in each row. Received: others, with greatest value"
        tests.append(tf.debugging.Assert(hard, [text, tf.reduce_max(rows)]))
    else:
        numbers = labels_of(y, classes)
        known = tf.reduce_all((numbers >= 0) & (numbers < classes))
        text = f"Expected labels from 0 to {classes - 1}. Received: labels from"
        ends = [tf.reduce_min(numbers), tf.reduce_max(numbers)]
        tests.append(tf.debugging.Assert(known, [text, *ends]))
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        text = f"Expected examples for each of the {replicas} replicas in every batch; drop the "
        text += "remainder of the last one. Received: a replica with"
        tests.append(tf.debugging.Assert(tf.shape(x)[0] > 0, [text, tf.shape(x)[0]]))
    with tf.control_dependencies([one for one in tests if one is not None]):
        return tf.identity(x)


@contextlib.contextmanager
def told_in_one_line() -> Iterator[None]:
    """Context manager: inside it a failed assertion of `checked` is a ConfigError of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r"\[(Expected [^\]]*)\]((?: \[[^\]]*\])*)", str(error))
        eager = re.search(r"Summarized data: b.(Expected .*).\n([\s\S]*)", str(error))
        if found is not None:
            told, values = found[1], re.findall(r"\[([^\]]*)\]", found[2])
        elif eager is not None:
            told, values = eager[1], eager[2].split()
        else:
            raise
        raise ConfigError(f"{told} {' to '.join(values)}.") from error


def require_images(x: Any, bounds: tuple[float, float]) -> None:
    """Raises ConfigError unless all pixels of a batch of images lie in `bounds`."""
    pixels = np.asarray(x)
    require(pixels.size > 0, "at least one image", pixels.shape)
    least, most = float(pixels.min()), float(pixels.max())
    low, high = np.float32(bounds[0]), np.float32(bounds[1])  # as `checked` compares
    if not (low <= np.float32(least) and np.float32(most) <= high):
        raise ConfigError(f"{_range_text(bounds)} {least:g} to {most:g}.")


def first_batch(data: Any) -> tuple[Any, Any] | None:
    """The first (images, labels) of what `fit` takes as data, without using any of it up.

    Args:
      data: a pair or triple of arrays, a tf.data.Dataset or a keras.utils.PyDataset.

    Returns:
      Images and labels; None for other data, such as generators.
    """
    if isinstance(data, tf.data.Dataset):
        data = next(iter(data.take(1)), None)
    elif isinstance(data, keras.utils.PyDataset):
        data = data[0]
    if not isinstance(data, tuple | list) or len(data) < 2 or data[0] is None:
        return None
    x, y = data[:2]
    return (x, y) if hasattr(x, "shape") else None


def require_first(data: Any, bounds: tuple[float, float], classes: int) -> None:
    """Raises ConfigError if the first batch has pixels outside `bounds` or labels of another form.

    Args:
      data: see `first_batch`; other data are not checked.
      bounds: (low, high), the pixel range.
      classes: number of classes.
    """
    first = first_batch(data)
    if first is not None:
        require_images(first[0], bounds)
        labels_of(first[1], classes)


def take(data: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` (images, labels) of `data`, or all if there are fewer.

    Args:
      data: see `first_batch`.
      count: > 0.

    Raises:
      ConfigError: other data, or none.
    """
    if isinstance(data, keras.utils.PyDataset):
        batches: Any = (data[number] for number in range(len(data)))
    elif isinstance(data, tf.data.Dataset):
        batches = data
    else:
        batches = [data] if first_batch(data) is not None else []
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for batch in batches:
        images.append(np.asarray(batch[0][:count]))
        labels.append(np.asarray(batch[1][:count]))
        if sum(map(len, images)) >= count:
            break
    if not images:
        raise ConfigError(
            "Expected validation images and labels as arrays (x, y), a tf.data.Dataset or a "
            f"PyDataset. Received: {type(data).__name__}."
        )
    return np.concatenate(images)[:count], np.concatenate(labels)[:count]


def _range_text(bounds):
    low, high = (f"{one:g}" for one in bounds)
    return (
        f"Expected images with pixels from {low} to {high}; give the range of others, as "
        "AdversarialModel(..., bounds=(0, 255)). Received: pixels from"
    )
