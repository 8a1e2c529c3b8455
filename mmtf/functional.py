"""Calls Keras models with given tensors in place of their weights.

A min-max solver that looks ahead (extragradient, unrolled) or keeps several attackers (K-beam)
evaluates the objective f(u, v) of two networks at weights other than their current ones. `call`
does that for one call of a model, and is differentiable with respect to the tensors. `substitute`
does it for any code, for example code that reads the regularization losses of a model.

    f = lambda u, v: risk(call(classifier, u, call(attacker, v, images)), labels)
    solver.build(classifier.trainable_variables, attacker.trainable_variables)
    solver.step(f)

Non-trainable state (dropout seeds, moving averages of batch normalization) is updated once per
call, as in an ordinary call of the model.
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
      tensors: one for each of `model.trainable_variables`, in the same order, of the same shapes.
      *args, **kwargs: arguments of the model.

    Returns:
      The output of the model.

    Raises:
      ValueError: the number of tensors differs from the number of variables.

    Example:
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
    """Context manager inside which the Keras `variables` have the values `tensors`.

    Inside a nested `substitute` only the variables of the inner one are replaced. To replace the
    variables of several models, pass all of them in one call.

    Args:
      variables: Keras variables, trainable or not.
      tensors: one for each variable, in the same order, of the same shapes.

    Raises:
      ValueError: the number of tensors differs from the number of variables.
    """
    variables, tensors = list(variables), list(tensors)
    if len(variables) != len(tensors):
        raise ValueError(
            f"Expected a tensor for each of {len(variables)} variables. Received: {len(tensors)}."
        )
    with RememberingScope(
        list(zip(variables, tensors, strict=True)), initialize_variables=False
    ) as scope:
        yield
    for variable in scope.updated.values():
        variable.assign(scope.get_current_value(variable))


class RememberingScope(keras.StatelessScope):
    """A `keras.StatelessScope` that records which variables were assigned inside it.

    Inside another one it begins with what was assigned there: of two passes of a model, the second
    continues the moving averages of the first.

    Attributes:
      updated: id of a variable -> the variable.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.updated: dict[int, keras.Variable] = {}

    def __enter__(self) -> "RememberingScope":
        super().__enter__()
        outer = self.original_scope
        for variable in outer.updated.values() if isinstance(outer, RememberingScope) else ():
            value = outer.get_current_value(variable)
            self.state_mapping.setdefault(id(variable), value)  # given values come first
        return self

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        """Records an assignment; Keras calls it with (variable, value)."""
        super().add_update(update)
        self.updated[id(update[0])] = update[0]
