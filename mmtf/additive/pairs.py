"""Pairs of classes of a dataset, and classifiers of two classes for them."""

import dataclasses
import functools
import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError, require, require_choice, require_int, require_seed
from mmtf.nets import NETS
from mmtf.nets.layout import LAST
from mmtf.storage.digest import sha256

EPOCHS, BATCH, RATE = 8, 128, 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """The images of two classes; label 0 is the first class, 1 the second.

    Attributes:
      name: `0-1`, the two classes.
      classes: their numbers in the dataset.
      x_train, x_test: float32 [N, H, W, C] in [-1, 1].
      y_train, y_test: int32 [N] in {0, 1}.
    """

    name: str
    classes: tuple[int, int]
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of all arrays."""
        return sha256(self.x_train, self.y_train, self.x_test, self.y_test)


def all_pairs(num_classes: int) -> list[tuple[int, int]]:
    """All pairs of different classes.

    Example:
      >>> all_pairs(3)
      [(0, 1), (0, 2), (1, 2)]
    """
    return list(itertools.combinations(range(num_classes), 2))


def pair_of(data: Dataset, classes: tuple[int, int]) -> Pair:
    """The images of two classes of a dataset, in its order.

    Args:
      data: images that fit in memory.
      classes: two different classes.

    Raises:
      ConfigError: classes that the dataset does not have, or without images.
    """
    known = len(set(classes)) == 2 and all(0 <= one < data.num_classes for one in classes)
    wanted = f"two different classes of 0 to {data.num_classes - 1}"
    require(known, wanted, "-".join(map(str, classes)))
    arrays: list[np.ndarray] = []
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    ):
        rows = np.flatnonzero(np.isin(labels, classes))
        own = labels[rows]
        both = all((own == one).any() for one in classes)
        require(both, "images of both classes in each split", "-".join(map(str, classes)))
        chosen = images[rows] if isinstance(images, np.ndarray) else images.select(rows)[:]
        arrays += [np.asarray(data.inputs(chosen)), (own == classes[1]).astype(np.int32)]
    return Pair("-".join(map(str, classes)), classes, *arrays)


def mlp(*, image_shape: tuple[int, ...], num_classes: int = 2, seed: int = 0) -> keras.Model:
    """Two dense layers of 64 and 32 units with ReLUs, then logits."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(**LAST),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dense(num_classes),
        ],
        name="mlp",
    )


def train_classifier(
    pair: Pair, net: str = "mlp", *, epochs: int = EPOCHS, seed: int = 0
) -> Classifier:
    """Trains a classifier of the pair on clean images by Adam, with batches of 128.

    Args:
      pair: the images; only the training part is used.
      net: `mlp` (64 and 32 hidden units) or a name of `mmtf.nets.NETS`.
      epochs: > 0.
      seed: of the weights and of the batches.
    """
    require_int("epochs", epochs)
    require_seed(seed)
    if net != "mlp":
        require_choice("net", net, ("mlp", *NETS))
    build = mlp if net == "mlp" else NETS[net]
    model = build(image_shape=pair.x_train.shape[1:], num_classes=2, seed=seed)
    keras.utils.set_random_seed(seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss)
    model.fit(pair.x_train, pair.y_train, batch_size=BATCH, epochs=epochs, verbose=0)
    return Classifier(model, name=f"{net} {pair.name}")


def restricted(classifier: Classifier, pair: Pair) -> Classifier:
    """A classifier of the pair from one of two or more classes: the logits of the two classes.

    Args:
      classifier: with two logits, which are taken as those of the pair's classes in their order, or
        with one for each class of the dataset.
      pair: the classes.

    Raises:
      ConfigError: the classifier has more than two classes and not those of the pair.
    """
    count = int(classifier(tf.constant(pair.x_test[:1])).shape[-1])
    if count == 2:
        return classifier
    if max(pair.classes) >= count:
        raise ConfigError(
            f"Expected a model of 2 classes, or of at least {max(pair.classes) + 1}. "
            f"Received: {count} classes."
        )

    def two(x: Any, training: bool = False) -> tf.Tensor:
        return tf.gather(classifier(x, training=training), list(pair.classes), axis=-1)

    two.fingerprint = sha256(classifier.fingerprint, pair.name)  # type: ignore[attr-defined]
    return Classifier(two, name=f"{classifier.name} {pair.name}")
