"""The embedded dataset: 1,797 real handwritten digits that come with scikit-learn."""

import numpy as np
import sklearn.datasets
import tensorflow as tf

from mmtf.data.dataset import Dataset

SIZE = 28
TEST_COUNT = 360
SPLIT_SEED = 20170401  # fixed: a figure on `digits` means the same examples everywhere


def load_digits() -> Dataset:
    """scikit-learn's digits (UCI optdigits, 8x8, 16 gray levels), bilinearly resized to 28x28.

    1,437 training and 360 test examples by a fixed random split; no file is downloaded.
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
