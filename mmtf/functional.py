"""Keras models as functions of tensors: what makes f(u, v) out of two networks.

Rules that look ahead or keep several attackers need f at other values than those the models
hold. `call` evaluates a model at tensors in place of its trainable variables, differentiably;
`substitute` does so for a block of code, to reach a model's regularization losses, for instance.

    f = lambda u, v: risk(call(classifier, u, call(attacker, v, images)), labels)
    solver.build(classifier.trainable_variables, attacker.trainable_variables)
    solver.step(f)

State that the call updates (the seeds of dropout, the moving averages of batch normalization)
is updated as in an ordinary call, once for every call.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf


def call(model: keras.Model, tensors: Iterable[tf.Tensor], *args: Any, **kwargs: Any) -> Any:
    """model(*args, **kwargs) with `tensors` in place of its trainable variables, in their order.

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
    """Context manager: inside it Keras `variables` read as `tensors`.

    An inner block hides the substitutes of an outer one, so give the variables of several models as
    one list.

    Args:
      variables: trainable or not.
      tensors: as many, of the same shapes and in the same order.

    Raises:
      ValueError: another number of tensors than of variables.
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
    """A StatelessScope that remembers which variables were assigned to, not only their values."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.updated = {}

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        """Keras calls this with (variable, value) where a variable is assigned to."""
        super().add_update(update)
        self.updated[id(update[0])] = update[0]
