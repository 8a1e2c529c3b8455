"""Keras models as functions of their weights, to define f(u, v) from two networks.

Update rules that look ahead or keep several attackers evaluate f at other weights than those that
the models hold. `call` evaluates a model with tensors in place of its trainable variables and is
differentiable in them; inside `substitute` a model can also be used in other ways, for example to
read its regularization losses.

    f = lambda u, v: risk(call(classifier, u, call(attacker, v, images)), labels)
    solver.build(classifier.trainable_variables, attacker.trainable_variables)
    solver.step(f)

State that a call updates (dropout seeds, moving averages of batch normalization) is updated once
per call, as in an ordinary call.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf


def call(model: keras.Model, tensors: Iterable[tf.Tensor], *args: Any, **kwargs: Any) -> Any:
    """Calls model(*args, **kwargs) with `tensors` in place of its trainable variables.

    Args:
      model: a built Keras model.
      tensors: one for each of `model.trainable_variables`, in their order, of the same shape.
      *args, **kwargs: arguments of the model.

    Returns:
      The output of the model.

    Raises:
      ValueError: the number of tensors differs from the number of variables.

    >>> model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    >>> weights = [tf.constant([[2.0]]), tf.constant([1.0])]
    >>> call(model, weights, tf.constant([[3.0]])).numpy().tolist()
    [[7.0]]
    """
    with substitute(model.trainable_variables, tensors):
        return model(*args, **kwargs)


@contextlib.contextmanager
def substitute(
    variables: Iterable[keras.Variable], tensors: Iterable[tf.Tensor | tf.Variable]
) -> Iterator[None]:
    """Context manager: inside it, Keras `variables` have the values `tensors`.

    An inner `substitute` hides the values of an outer one: to replace the variables of several
    models, pass them all in one call.

    Args:
      variables: Keras variables, trainable or not.
      tensors: one for each variable, in the same order, of the same shape.

    Raises:
      ValueError: the number of tensors differs from the number of variables.
    """
    variables, tensors = list(variables), list(tensors)
    if len(variables) != len(tensors):
        raise ValueError(
            f"Expected a tensor for each of {len(variables)} variables. Received {len(tensors)}."
        )
    with RememberingScope(
        list(zip(variables, tensors, strict=True)), initialize_variables=False
    ) as scope:
        yield
    for variable in scope.updated.values():
        variable.assign(scope.get_current_value(variable))


class RememberingScope(keras.StatelessScope):
    """A StatelessScope that also lists the variables that were assigned inside it (`updated`)."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.updated = {}

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        """Called by Keras with (variable, value) when a variable is assigned."""
        super().add_update(update)
        self.updated[id(update[0])] = update[0]
