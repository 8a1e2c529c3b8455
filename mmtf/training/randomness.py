"""Dropout whose masks are a function of (seed, step, replica): nothing to checkpoint."""

import contextlib

import keras
import tensorflow as tf


@contextlib.contextmanager
def seeded(*models: keras.Model, seed, also=()):
    """While open, the seed generators in `models` start from `seed`, and their state is dropped.

    Other variables that layers update in the forward pass (moving statistics) keep their updates.

    Args:
      models: Keras models.
      seed: int32 [2].
      also: pairs (variable, tensor): these variables read as the tensors.
    """
    generators = [state for model in models for state in seed_variables(model)]
    mapping = list(also)
    for number, state in enumerate(generators):
        own = tf.random.experimental.stateless_fold_in(seed, number)
        mapping.append((state, tf.cast(own, state.dtype)))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        yield
    for variable in (one for model in models for one in model.non_trainable_weights):
        value = scope.get_current_value(variable)
        if value is not None:
            variable.assign(value)


def seed_variables(model: keras.Model) -> list:
    """The states of the model's seed generators: its variables that are not weights."""
    weights = {id(variable) for variable in model.weights}
    return [
        variable
        for variable in model.variables
        if id(variable) not in weights and variable.path.endswith("seed_generator_state")
    ]
