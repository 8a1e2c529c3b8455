"""Checks, before the first step, that a model can learn: weights to train, and gradients."""

import contextlib
from typing import Any

import tensorflow as tf

from mmtf import losses
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.precision import computing_in
from mmtf.classifiers.state import lost_variable
from mmtf.errors import ConfigError, reason_of
from mmtf.functional import substitute
from mmtf.games.base import Game
from mmtf.runtime.console import say

# Below this share of weights that are trained, it is said.
FEW = 0.1
# Standard deviation of what is added to weights where all gradients are exactly zero: those of a
# model whose last kernel starts at zero are.
SHIFT = 0.1
LOST = (
    "a layer that rounds, compares, casts to integers or calls NumPy passes no gradient on. Use "
    "operations with gradients, or a straight-through estimator (tf.custom_gradient)"
)


def require_weights(classifier: Classifier, game: Game) -> None:
    """Checks that there is something to train.

    Says on stderr where that is almost nothing, or where a layer holds a variable that Keras does
    not train.

    Args:
      classifier: around a built Keras model.
      game: one that does not train the classifier needs nothing.

    Raises:
      ConfigError: the model has no trainable weights.
    """
    if not game.trains_classifier:
        return
    if lost := lost_variable(classifier.model):
        say(f"{classifier.name}: {lost}")
    trained = sum(_size(one) for one in classifier.trainable_variables)
    total = sum(_size(one) for one in classifier.model.weights)
    if not trained:
        raise ConfigError(
            f"Expected a model with weights to train. Received: none of {total:,} is trainable. "
            "Set trainable=True on the model or on its last layers."
        )
    if trained < FEW * total:
        line = f"Training {trained:,} of {total:,} weights ({trained / total:.1%}): the others have"
        say(f"{classifier.name}: {line} trainable=False.")


def require_gradients(classifier: Classifier, game: Game, images: Any, labels: Any) -> None:
    """Checks that the gradient of the loss reaches the weights and, if used, the images.

    Says on stderr which weights none reaches.

    Args:
      classifier: around a built Keras model.
      game: `input_gradients` says whether it needs those of the images.
      images: float32 [N, H, W, C] in [-1, 1].
      labels: int [N].

    Raises:
      ConfigError: there is no gradient, or that of the images is exactly zero, for these weights
        and for weights near them.
    """
    variables, name = classifier.trainable_variables, type(game).__name__
    largest, reached = _gradients(classifier, variables, images, labels)
    if game.trains_classifier and not any(reached):
        raise ConfigError(
            f"Expected a model through which gradients reach its weights. Received: none: {LOST}."
        )
    if game.trains_classifier and not all(reached):
        left = [one.path for one, found in zip(variables, reached, strict=True) if not found]
        line = f"no gradient reaches {len(left)} of {len(reached)} weights, {left[0]} the first"
        say(f"{classifier.name}: {line}: they stay as they are.")
    if not game.input_gradients:
        return
    if largest == 0.0 and variables:
        shifts = [
            tf.convert_to_tensor(one) + SHIFT * tf.random.stateless_normal(one.shape, [1, number])
            for number, one in enumerate(variables)
        ]
        with substitute(variables, shifts):
            largest, _ = _gradients(classifier, [], images, labels)
    if not largest:
        raise ConfigError(
            f"Expected a model through which gradients reach the images, for {name}. Received: "
            f"{'none' if largest is None else 'zero'} for all of {len(images)} images: {LOST}."
        )


def _gradients(classifier, variables, images, labels) -> tuple[float | None, list[bool]]:
    """The largest entry of dl/dx, None if there is none; whether one reaches each variable."""
    x = tf.convert_to_tensor(images)
    # With tensors in their place: outside of replicas a tape does not take mirrored variables.
    weights = [tf.convert_to_tensor(one) for one in variables]
    held = substitute(variables, weights) if variables else contextlib.nullcontext()
    try:
        with computing_in(classifier.model, "float32"), held, tf.GradientTape() as tape:
            tape.watch([x, *weights])
            logits = classifier.at(None)(x, training=False)
            loss = tf.reduce_sum(losses.cross_entropy(logits, labels))
        gradient, *others = tape.gradient(loss, [x, *weights])
    except LookupError as error:  # an operation for which TensorFlow has none at all
        raise ConfigError(
            f"Expected a model through which gradients reach images and weights. Received: "
            f"{reason_of(error)}."
        ) from error
    largest = None if gradient is None else float(tf.reduce_max(tf.abs(gradient)))
    return largest, [one is not None for one in others]


def _size(variable) -> int:
    return int(tf.size(tf.convert_to_tensor(variable)))
