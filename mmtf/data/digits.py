"""The dataset `digits`: 1,797 handwritten digits that are installed with scikit-learn."""

import numpy as np
import sklearn.datasets
import tensorflow as tf

from mmtf.data.dataset import Dataset

SIZE = 28
TEST_COUNT = 360
SPLIT_SEED = 20170401  # fixed, so that all results on `digits` are for the same split


def load_digits() -> Dataset:
    """scikit-learn's digits (UCI optdigits, 8x8 pixels of 17 gray levels), resized to 28x28.

    The images are uint8 [N, 28, 28, 1], resized by bilinear interpolation. A fixed random split
    gives 1,437 training and 360 test examples. Nothing is downloaded.

    Example:
      >>> data = load_digits()
      >>> data.train_images.shape, data.test_images.shape
      ((1437, 28, 28, 1), (360, 28, 28, 1))
    """
    source = sklearn.datasets.load_digits()
    gray = (source.images * (255.0 / 16.0)).astype(np.float32)[..., None]
    images = tf.image.resize(gray, [SIZE, SIZE], method="bilinear").numpy()
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    labels = source.target.astype(np.int32)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    test, train = order[:TEST_COUNT], order[TEST_COUNT:]
    return Dataset(
        name="digits",
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        num_classes=10,
        note="scikit-learn's 8x8 digits resized to 28x28, 360 test examples",
    )
