"""What a solver accepts as an optimizer, made into a live one; and how arguments are shown."""

import numbers

import keras
import tensorflow as tf

_Schedule = keras.optimizers.schedules.LearningRateSchedule


def live(optimizer, variables):
    """A Keras optimizer, built on `variables`, from an optimizer, its name or a learning rate.

    Raises:
        TypeError: on anything else.
        ValueError: on an optimizer that is built already, and on one that clips gradients under
            several replicas.

    >>> type(live(0.1, [keras.Variable(1.0)])).__name__
    'SGD'
    """
    if isinstance(optimizer, numbers.Real):
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
            "Expected an optimizer that has no variables yet (or a name or a learning rate, which "
            f"make one for each build). Received {show(optimizer)}, already built."
        )
    clips = [optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue]
    if tf.distribute.get_strategy().num_replicas_in_sync > 1 and any(clips):
        raise ValueError(
            "Expected an optimizer without clipping under several replicas, where Keras clips "
            f"each replica's share before the sum. Received {show(optimizer)}."
        )
    optimizer.build(variables)
    return optimizer


def show(argument):
    """repr, with a Keras optimizer or schedule as its name and the settings that are on.

    >>> show(keras.optimizers.SGD(0.1, momentum=0.9))
    'SGD(learning_rate=0.1, ema_momentum=0.99, momentum=0.9)'
    """
    if isinstance(argument, keras.optimizers.Optimizer | _Schedule):
        argument = {"class_name": type(argument).__name__, "config": argument.get_config()}
    if isinstance(argument, dict) and "class_name" in argument:
        # Keras writes a schedule in an optimizer's configuration in this form too.
        config = {k: v for k, v in argument["config"].items() if v is not None and v is not False}
        config.pop("name", None)
        # Keras keeps a rate as float32: 0.1 would read 0.10000000149.
        texts = {k: f"{v:.6g}" if isinstance(v, float) else show(v) for k, v in config.items()}
        return f"{argument['class_name']}({', '.join(f'{k}={x}' for k, x in texts.items())})"
    return repr(argument)
