"""Dropout whose masks are a function of (seed, step, replica): nothing to checkpoint."""

import contextlib

import keras
import tensorflow as tf

from mmtf.functional import RememberingScope
from mmtf.kernels.keras_internals import global_seed_state


@contextlib.contextmanager
def seeded(*models: keras.Model, seed, also=()):
    """While open, the seed generators in `models` start from `seed`, and their state is dropped.

    Other variables that layers update in the forward pass (moving statistics, kernels that are
    normalized in place) keep their updates. What draws from Keras' global generator is seeded, too,
    if it was made before (`mmtf.kernels.keras_internals.make_global_seed_generator`).

    Args:
      models: Keras models.
      seed: int32 [2].
      also: pairs (variable, tensor): these variables read as the tensors.
    """
    generators = [state for model in models for state in seed_variables(model)]
    shared = global_seed_state()
    if shared is not None:  # a replica's thread has none, and none can be made while traced
        generators.append(shared)
    mapping = list(also)
    for number, state in enumerate(generators):
        own = tf.random.experimental.stateless_fold_in(seed, number)
        mapping.append((state, tf.cast(own, state.dtype)))
    with RememberingScope(mapping) as scope:
        yield
    own = {id(variable) for model in models for variable in model.weights}
    for variable in scope.updated.values():
        if id(variable) in own:
            variable.assign(scope.get_current_value(variable))


def seed_variables(model: keras.Model) -> list:
    """The states of the model's seed generators: its variables that are not weights."""
    weights = {id(variable) for variable in model.weights}
    return [
        variable
        for variable in model.variables
        if id(variable) not in weights and variable.path.endswith("seed_generator_state")
    ]
