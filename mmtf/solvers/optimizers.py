"""Optimizers of solvers: from a name or a learning rate to a Keras optimizer, and to text."""

import numbers
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from mmtf.errors import ConfigError, require_number

_Schedule = keras.optimizers.schedules.LearningRateSchedule
# A Keras optimizer, its name, or the learning rate of plain gradient steps.
OptimizerLike: TypeAlias = (
    "keras.optimizers.Optimizer | keras.optimizers.schedules.LearningRateSchedule | str | float"
)


def live(optimizer: OptimizerLike, variables: Sequence[Any]) -> keras.optimizers.Optimizer:
    """Makes a Keras optimizer and builds it on `variables`.

    Args:
      optimizer: a Keras optimizer that is not built, its name, or a learning rate (a number or a
        Keras schedule) for plain gradient descent.
      variables: Keras or TensorFlow variables that it will update.

    Raises:
      TypeError: `optimizer` is of another type.
      ValueError: it is already built, or it clips gradients under several replicas.

    >>> type(live(0.1, [keras.Variable(1.0)])).__name__
    'SGD'
    """
    if isinstance(optimizer, numbers.Real):
        require_number("learning rate", optimizer, at_least=0)
        optimizer = keras.optimizers.SGD(float(optimizer))
    elif isinstance(optimizer, _Schedule):
        optimizer = keras.optimizers.SGD(optimizer)
    elif isinstance(optimizer, str):
        optimizer = keras.optimizers.get(optimizer)
    elif not isinstance(optimizer, keras.optimizers.Optimizer):
        raise TypeError(
            "Expected a Keras optimizer, its name or a learning rate. "
            f"Received {optimizer!r} of type {type(optimizer).__name__}."
        )
    elif optimizer.built:
        raise ValueError(
            "Expected an optimizer that has no variables yet, or a name or a learning rate, from "
            f"which each build makes a new one. Received {show(optimizer)}, already built."
        )
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        refuse_clipping(optimizer)
    optimizer.build(variables)
    return optimizer


def refuse_clipping(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises ConfigError, a ValueError, if an optimizer for several replicas clips gradients."""
    if any([optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue]):
        raise ConfigError(
            "Expected an optimizer without clipping under several replicas, where Keras clips "
            f"each replica's share before the sum. Received {show(optimizer)}."
        )


def show(argument: Any) -> str:
    """The repr of an argument; a Keras optimizer or schedule as its class and its settings.

    Settings that are None or False are left out.

    >>> show(keras.optimizers.SGD(0.1, momentum=0.9))
    'SGD(learning_rate=0.1, ema_momentum=0.99, momentum=0.9)'
    """
    if isinstance(argument, keras.optimizers.Optimizer | _Schedule):
        argument = {"class_name": type(argument).__name__, "config": argument.get_config()}
    if isinstance(argument, dict) and "class_name" in argument:
        # A schedule in an optimizer's config has this form, too.
        config = {k: v for k, v in argument["config"].items() if v is not None and v is not False}
        config.pop("name", None)
        # Keras stores a rate in float32: without rounding, 0.1 would be shown as 0.10000000149.
        texts = {k: f"{v:.6g}" if isinstance(v, float) else show(v) for k, v in config.items()}
        return f"{argument['class_name']}({', '.join(f'{k}={x}' for k, x in texts.items())})"
    return repr(argument)
