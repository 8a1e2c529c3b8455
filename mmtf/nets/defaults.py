"""The classifier for a dataset where none is named."""

from typing import Any

import keras

from mmtf.nets import NETS

# The tutorial's dropout of 0.5 is for tens of thousands of steps; in a few thousand it costs both
# clean and robust accuracy.
FAST_NET: dict[str, dict[str, Any]] = {"mnist_cnn": {"dropout": 0.25}}


def base_name(dataset: str) -> str:
    """A dataset's name without TFDS' config and version, and without what `Dataset.holdout` adds.

    Example:
      >>> base_name("mnist_corrupted/fog:1.0.0"), base_name("mnist_holdout5000_seed1")
      ('mnist_corrupted', 'mnist')
    """
    return dataset.split(":")[0].split("/")[0].split("_holdout")[0]


def default_net(dataset: str) -> str:
    """Name of the net for a dataset: cifar_cnn, or mnist_cnn for small gray images.

    Example:
      >>> default_net("digits"), default_net("svhn_cropped")
      ('mnist_cnn', 'cifar_cnn')
    """
    name = base_name(dataset)
    small = name == "digits" or "mnist" in name
    return "mnist_cnn" if small else "cifar_cnn"


def default_classifier(
    dataset: str, image_shape: tuple[int, int, int], num_classes: int, seed: int
) -> keras.Model:
    """The classifier of the schedule `fast` for a dataset.

    Args:
      dataset: its name.
      image_shape: (H, W, C).
      num_classes: number of logits.
      seed: seed for the initial weights.
    """
    name = default_net(dataset)
    return NETS[name](
        image_shape=image_shape, num_classes=num_classes, seed=seed, **FAST_NET.get(name, {})
    )
