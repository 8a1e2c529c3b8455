"""Random changes of training images, as functions of the seed and the step."""

import tensorflow as tf

# A crop shifts an image by at most its side divided by this: 4 of 32 pixels.
SHARE = 8
# `affine`: largest angle in radians (10 degrees), shear, relative change of each side, and shift
# divided by the side.
ANGLE, SHEAR, SCALE, SHIFT = 0.175, 0.1, 0.1, 0.05


class Augmentation:
    """Moves the pixels of images; what happens to one depends on (seed, step, position) alone.

    `crop` continues the borders by reflection and shifts the image by up to an eighth of its height
    and width, uniformly. `flip` mirrors half of the images. `affine` turns an image by up to 10
    degrees about its center, shears it by up to 0.1, changes its height and its width by up to 10 %
    each and shifts it by up to a twentieth of its side, all uniformly; pixels between others are
    interpolated linearly, pixels beyond the border are those of the border. All images stay in the
    box.

    Args:
      words: of `mmtf.schedule.AUGMENTATIONS`: `crop`, `flip`, `affine`.
      seed: in [0, 2^31).
      batch_size: examples per step over all replicas.

    Example:
      >>> change = Augmentation(("flip",), seed=0, batch_size=4)
      >>> x = tf.reshape(tf.range(2.0), [1, 1, 2, 1]) * tf.ones([4, 1, 1, 1])
      >>> change(x, step=0, start=0)[:, 0, 0, 0].numpy().tolist()
      [0.0, 0.0, 0.0, 1.0]
    """

    def __init__(self, words: tuple[str, ...], *, seed: int, batch_size: int):
        self.words, self.seed, self.batch_size = words, seed, batch_size

    def __call__(self, images: tf.Tensor, step: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        """Changes the images of a replica.

        Args:
          images: float [n, H, W, C], n known.
          step: number of the training step, int32 scalar.
          start: position of the first image in the batch of the step.
        """
        count, height, width, _ = images.shape

        def own(values):
            begin = [tf.cast(start, tf.int32), *[0] * (values.shape.rank - 1)]
            return tf.slice(values, begin, [count, *values.shape[1:]])

        drawn = own(self._drawn(3, step))
        rows = tf.tile(tf.range(height)[None, :], [count, 1])
        columns = tf.tile(tf.range(width)[None, :], [count, 1])
        if "crop" in self.words:
            rows = _reflected(rows + _shift(drawn[:, :1], height), height)
            columns = _reflected(columns + _shift(drawn[:, 1:2], width), width)
        if "flip" in self.words:
            columns = tf.where(drawn[:, 2:] < 0.5, width - 1 - columns, columns)
        if "crop" in self.words or "flip" in self.words:
            moved = tf.gather(images, rows, axis=1, batch_dims=1)
            images = tf.gather(moved, columns, axis=2, batch_dims=1)
        if "affine" in self.words:
            drawn = 2.0 * self._drawn(6, -1 - tf.cast(step, tf.int32)) - 1.0
            # Of the whole batch, too: a cosine's last bit depends on its place in the vector.
            images = warped(images, own(_affine(drawn, height, width)))
        return images

    def _drawn(self, numbers: int, step: tf.Tensor) -> tf.Tensor:
        """Numbers in [0, 1) for the images of a step, float32 [batch_size, numbers]."""
        # Philox: the same numbers on all devices and in XLA's programs. Drawn for the whole batch,
        # so that they do not depend on the number of replicas.
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        return tf.random.stateless_uniform([self.batch_size, numbers], seed, alg="philox")


def warped(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Images whose pixel at p, counted from the center, is that of the given image at A p + t.

    Args:
      images: float [n, H, W, C].
      maps: float32 [n, 2, 3], rows (A, t) for rows and columns of pixels.

    Returns:
      [n, H, W, C]: linear interpolation; beyond the border, the pixels of the border.

    Example:
      >>> x = tf.reshape([0.0, 1.0, 4.0], [1, 1, 3, 1])
      >>> half_a_pixel = tf.constant([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]])
      >>> warped(x, half_a_pixel)[0, 0, :, 0].numpy().tolist()
      [0.5, 2.5, 4.0]
    """
    _, height, width, channels = images.shape
    grid = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    sides = ((grid[0], height), (grid[1], width))
    p = [tf.cast(tf.reshape(one, [1, -1]), tf.float32) - (side - 1) / 2 for one, side in sides]
    # Rows and columns apart, each [n, HW]: TensorFlow is slow where the last dimension is 2 or 1.
    first, second, shares = [], [], []
    for axis, side in enumerate((height, width)):
        by = maps[:, axis]
        # Not a matrix product, whose rounding depends on the number of images.
        places = p[0] * by[:, :1] + p[1] * by[:, 1:2]
        places += by[:, 2:] + (side - 1) / 2
        places = tf.clip_by_value(places, 0.0, float(side - 1))
        whole = tf.floor(places)
        share = tf.cast(places - whole, images.dtype)
        shares.append(share if channels == 1 else share[..., None])
        first.append(tf.cast(whole, tf.int32))
        second.append(tf.minimum(first[-1] + 1, side - 1))
    flat = tf.reshape(images, [-1] if channels == 1 else [-1, channels])
    begin = tf.range(tf.shape(images)[0])[:, None] * (height * width)

    def between(one, other, part):
        return one + (other - one) * part

    def row(number):
        start = begin + number * width
        left, right = (tf.gather(flat, start + columns[1]) for columns in (first, second))
        return between(left, right, shares[1])

    found = between(row(first[0]), row(second[0]), shares[0])
    found, given = (tf.reshape(one, [-1, height * width * channels]) for one in (found, images))
    # Rounding must not leave the box.
    low, high = (reduce(given, 1, True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.reshape(tf.clip_by_value(found, low, high), tf.shape(images))


def _affine(drawn: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The maps of `warped` for numbers in [-1, 1], float32 [n, 6]."""
    angle, shear, tall, wide, down, right = tf.unstack(drawn, axis=1)
    cos, sin, shear = tf.cos(ANGLE * angle), tf.sin(ANGLE * angle), SHEAR * shear
    tall, wide = 1.0 / (1.0 + SCALE * tall), 1.0 / (1.0 + SCALE * wide)
    rows = [tall * cos, tall * (shear * cos - sin), SHIFT * height * down]
    columns = [wide * sin, wide * (shear * sin + cos), SHIFT * width * right]
    return tf.stack([tf.stack(rows, -1), tf.stack(columns, -1)], 1)


def _shift(drawn: tf.Tensor, side: int) -> tf.Tensor:
    """Whole numbers in [-p, p], p the eighth of the side, from uniform ones in [0, 1)."""
    most = side // SHARE
    return tf.cast(tf.floor(drawn * (2 * most + 1)), tf.int32) - most


def _reflected(index: tf.Tensor, side: int) -> tf.Tensor:
    """Pixel numbers in [0, side) of ones beyond the borders, without repeating the border."""
    index = tf.abs(index)
    return tf.where(index < side, index, 2 * (side - 1) - index)
