"""Image files as images: listed by class, decoded, resized where that is asked for."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.data.errors import DataError
from mmtf.data.sources import ImageSource
from mmtf.storage.digest import sha256

CHANNELS = {"rgb": 3, "grayscale": 1}
# Images in formats that the decoder does not know are refused, not left out.
FOREIGN = (".webp", ".tif", ".tiff", ".heic", ".avif", ".jp2")


def files_by_class(folder: str) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    """The image files of a folder with one subfolder for each class, in alphabetical order.

    The folder is listed by `keras.utils.image_dataset_from_directory`: .bmp, .gif, .jpeg, .jpg and
    .png files, also in deeper folders. Names that begin with a dot are ignored.

    Args:
      folder: path.

    Returns:
      Paths, the class of each file as int32 [N], and the classes' names.

    Raises:
      DataError: no such folder, fewer than two classes, a class without images, or an image in a
        format that cannot be decoded.
    """
    if not os.path.isdir(folder):
        raise DataError(f"Expected a folder with a subfolder for each class. Received: {folder}.")
    try:
        listed = keras.utils.image_dataset_from_directory(
            folder, shuffle=False, batch_size=None, verbose=False
        )
        paths, names = list(listed.file_paths), list(listed.class_names)
    except ValueError:  # it found no image
        paths, names = [], sorted(name for name in os.listdir(folder) if not name.startswith("."))
        names = [name for name in names if os.path.isdir(os.path.join(folder, name))]
    parts = [os.path.relpath(path, folder).split(os.sep) for path in paths]
    kept = [i for i, part in enumerate(parts) if not any(one.startswith(".") for one in part)]
    labels = np.array([names.index(parts[i][0]) for i in kept], np.int32)
    if len(names) < 2:
        raise DataError(
            f"Expected a subfolder for each of two or more classes in {folder}. "
            f"Received: {', '.join(names) or 'none'}."
        )
    _refuse_foreign(folder, names)
    empty = sorted(set(range(len(names))) - set(labels.tolist()))
    if empty:
        raise DataError(
            f"Expected .bmp, .gif, .jpeg, .jpg or .png images of every class in {folder}. "
            f"Received: none in {names[empty[0]]}."
        )
    return [paths[i] for i in kept], labels, tuple(names)


class ImageFiles(ImageSource):
    """Images that are decoded from their files whenever they are read.

    Args:
      paths: of the files.
      shape: (H, W, C).
      digest: see `ImageSource`.
      resize: whether images are resized to (H, W); else all have this size.
    """

    def __init__(self, paths: Sequence[str], shape: tuple[int, ...], digest: str, *, resize: bool):
        super().__init__((len(paths), *shape), np.uint8, digest)
        self.paths = list(paths)
        self._resize = resize

    def select(self, rows: np.ndarray) -> "ImageFiles":
        """The images of some rows, int [n], as a source of their own."""
        digest = sha256(self.digest, np.asarray(rows, np.int64))
        paths = [self.paths[row] for row in rows]
        return ImageFiles(paths, self.shape[1:], digest, resize=self._resize)

    def load(self, path: tf.Tensor) -> tf.Tensor:
        """The image at a path, uint8 [H, W, C]; also in a graph."""
        image = _decoded(path, self.shape[3])
        image = _resized(image, self.shape[1:3]) if self._resize else image
        return tf.ensure_shape(image, self.shape[1:])

    def __getitem__(self, rows: Any) -> np.ndarray:
        chosen = self.paths[rows] if isinstance(rows, slice) else [self.paths[i] for i in rows]
        found = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        if not chosen:
            return found
        images = tf.data.Dataset.from_tensor_slices(chosen).map(self.load, tf.data.AUTOTUNE)
        for place, image in enumerate(images.as_numpy_iterator()):
            found[place] = image
        return found


def read_files(
    paths: Sequence[str],
    image_size: tuple[int, int] | None,
    color: str | None,
    limit: int,
) -> tuple[np.ndarray | None, tuple[int, ...], str]:
    """Decodes every file once: finds files that cannot be read, and sizes that differ.

    Args:
      paths: of the files.
      image_size: (height, width) to which all are resized; None: all must have one size.
      color: `rgb` or `grayscale`; None: all must be of one of the two.
      limit: bytes up to which the images are returned.

    Returns:
      The images as uint8 [N, H, W, C], None if they take more bytes than `limit`; their shape
      (H, W, C); and the SHA-256 of all.

    Raises:
      DataError: a file that is no image, with its path; different sizes or colors.
    """
    images: np.ndarray | None = None
    digest, shape = hashlib.sha256(), ()
    for place, image in enumerate(_each(paths, image_size, color)):
        if not shape:
            shape = _require_color(image.shape, paths[0])
            if len(paths) * image.nbytes <= limit:
                images = np.empty((len(paths), *shape), np.uint8)
        if image.shape != shape:
            raise DataError(_differs(shape, paths[0], image.shape, paths[place]))
        digest.update(image.tobytes())
        if images is not None:
            images[place] = image
    return images, shape, digest.hexdigest()


def _each(paths, image_size, color) -> Iterator[np.ndarray]:
    def load(path):
        image = _decoded(path, CHANNELS[color] if color else 0)
        return _resized(image, image_size) if image_size else image

    done = 0
    images = tf.data.Dataset.from_tensor_slices(list(paths)).map(load, tf.data.AUTOTUNE)
    try:
        for image in images.as_numpy_iterator():
            yield image
            done += 1
    except (tf.errors.InvalidArgumentError, tf.errors.OpError) as error:
        # Elements come in the order of the paths, so that the next one is at fault.
        reason = str(error).replace("{{function_node", "\n").splitlines()[0]
        raise DataError(
            f"Expected an image that can be decoded. Received: {paths[done]} "
            f"({type(error).__name__}: {_reason(paths[done], reason)}). Mend or remove the file."
        ) from error


def _reason(path, reason):
    if not os.path.exists(path):
        return "no such file"
    return "an empty file" if not os.path.getsize(path) else (reason or "not an image")[:160]


def _decoded(path, channels):
    """uint8 [h, w, c]; of 0 channels the file's own; of a moving image the first picture."""
    data = tf.io.read_file(path)
    return tf.io.decode_image(data, channels=channels, expand_animations=False)


def _resized(image, size):
    """Bilinear with antialiasing, rounded to 8 bits; an image of this size is left as it is."""
    smaller = tf.image.resize(image, size, method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(smaller), 0.0, 255.0), tf.uint8)


def _require_color(shape, path):
    if shape[-1] not in CHANNELS.values():
        raise DataError(
            f"Expected gray or RGB images. Received: {shape[-1]} channels in {path}. Give "
            "color='rgb' or color='grayscale', which drops transparency."
        )
    return tuple(shape)


def _differs(shape, first, other, second):
    if shape[:2] == other[:2]:
        wanted, remedy = "channels", "color='rgb' or color='grayscale'"
    else:
        wanted, remedy = "size", "image_size=(height, width), to which all are resized"
    return (
        f"Expected images of one {wanted}. Received: {shape} in {first} and {other} in {second}. "
        f"Give {remedy}."
    )


def _refuse_foreign(folder, names):
    for name in names:
        for place, _, files in os.walk(os.path.join(folder, name)):
            for file in files:
                if file.lower().endswith(FOREIGN) and not file.startswith("."):
                    raise DataError(
                        "Expected .bmp, .gif, .jpeg, .jpg or .png images. Received: "
                        f"{os.path.join(place, file)}. Convert it, or move it away."
                    )
