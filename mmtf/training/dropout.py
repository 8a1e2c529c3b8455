"""Dropout masks as functions of (seed, step, replica), without state to checkpoint."""

import contextlib
from collections.abc import Iterable, Iterator

import keras
import tensorflow as tf

from mmtf.functional import RememberingScope
from mmtf.kernels.keras_internals import global_seed_state


@contextlib.contextmanager
def seeded_dropout(
    *models: keras.Model,
    seed: tf.Tensor,
    also: Iterable[tuple[keras.Variable, tf.Tensor]] = (),
    frozen: Iterable[keras.Variable] = (),
) -> Iterator[None]:
    """Context manager: inside it, the models' seed generators start from `seed`.

    Their own states are neither read nor changed, so that masks do not depend on earlier calls.
    Other variables that layers update in the forward pass (moving statistics, kernels that are
    normalized in place) keep their updates. Layers that draw from Keras' global generator are
    seeded, too, if it exists (`mmtf.kernels.keras_internals.make_global_seed_generator`). Used
    within itself, it starts the generators anew and continues the other variables.

    Args:
      models: the models that are called inside.
      seed: int32 [2].
      also: pairs (variable, tensor); inside, these variables have the values of the tensors.
      frozen: variables that keep their values, whatever layers assign to them inside.
    """
    generators = [state for model in models for state in seed_variables(model)]
    shared = global_seed_state()
    if shared is not None:  # a replica's thread has none; tracing cannot create one
        generators.append(shared)
    mapping = list(also)
    for number, state in enumerate(generators):
        own = tf.random.experimental.stateless_fold_in(seed, number)
        mapping.append((state, tf.cast(own, state.dtype)))
    with RememberingScope(mapping) as scope:
        yield
    own = {id(variable) for model in models for variable in model.weights}
    own -= {id(variable) for variable in frozen}
    for variable in scope.updated.values():
        if id(variable) in own:
            variable.assign(scope.get_current_value(variable))


def seed_variables(model: keras.Model) -> list[keras.Variable]:
    """The states of the seed generators in `model`: variables that are not weights."""
    weights = {id(variable) for variable in model.weights}
    return [
        variable
        for variable in model.variables
        if id(variable) not in weights and variable.path.endswith("seed_generator_state")
    ]
