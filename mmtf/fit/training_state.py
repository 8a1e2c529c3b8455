"""Weights files with the state of training beside the weights of the plain model."""

import os
from collections.abc import Sequence
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from mmtf.errors import ConfigError, require
from mmtf.storage.files import write_atomically

# The group of a .weights.h5 file that Keras does not read.
GROUP = "adversarial_training"


def variables_of(trackables: dict[str, Any], model: keras.Model) -> list[Any]:
    """All variables of some trackable objects but those of `model`, always in the same order.

    Args:
      trackables: name -> object, as of tf.train.Checkpoint.
      model: its variables are left out.
    """
    own = {id(variable) for variable in model.variables}
    root = tf.train.Checkpoint(**trackables)
    kinds = (keras.Variable, tf.Variable, tf.distribute.DistributedValues)
    found = tf.train.TrackableView(root).descendants()
    return [one for one in found if isinstance(one, kinds) and id(one) not in own]


def save_state(path: str, model: keras.Model, variables: Sequence[Any], overwrite: bool) -> None:
    """Writes a .weights.h5 file that `model.load_weights` reads, and adds the `variables` to it.

    Args:
      path: ends in `.weights.h5`.
      model: the plain model.
      variables: Keras or TensorFlow variables.
      overwrite: whether an existing file is replaced.

    Raises:
      ConfigError: the file exists and is not to be replaced.
    """
    require(
        overwrite or not os.path.exists(path), f"overwrite=True, since {path} exists", overwrite
    )

    def write(temporary: str) -> None:
        plain = f"{temporary}.weights.h5"  # Keras asks for this ending
        try:
            model.save_weights(plain, overwrite=True)
            with h5py.File(plain, "a") as file:
                group = file.create_group(GROUP)
                for number, variable in enumerate(variables):
                    group[str(number)] = np.asarray(variable)
            os.replace(plain, temporary)
        finally:
            if os.path.exists(plain):
                os.unlink(plain)

    write_atomically(path, write)


def load_state(path: str, variables: Sequence[Any]) -> None:
    """Restores `variables` from a file of `save_state`; other weights files change nothing.

    Args:
      path: a .weights.h5 file.
      variables: as given to `save_state`, of a model compiled in the same way.

    Raises:
      ConfigError: the file is of another game, model or optimizer.
    """
    with h5py.File(path, "r") as file:
        if GROUP not in file:
            return
        saved = [file[GROUP][str(number)][()] for number in range(len(file[GROUP]))]
    ours = [tuple(variable.shape) for variable in variables]
    theirs = [value.shape for value in saved]
    if ours != theirs:
        raise ConfigError(
            f"Expected the state of this game and optimizer ({len(ours)} variables) in {path}. "
            f"Received: another one ({len(theirs)} variables). Compile the model as before, or "
            "start anew in another folder."
        )
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
