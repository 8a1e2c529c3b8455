"""Validation of a model, its precision and the batch size before training."""

from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.admission import logits_on, tell
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.precision import computing_in
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError, reason_of, require
from mmtf.games.base import Game
from mmtf.kernels.keras_internals import layers_of
from mmtf.nets import NETS
from mmtf.presets import default_net, default_net_options
from mmtf.registry import base_name
from mmtf.runtime.devices import resolve_precision
from mmtf.training.gradients import require_gradients, require_weights

# Training images whose pixels are checked.
CHECKED = 500
# Mirror images of their classes are of no class.
NOT_MIRRORED = ("digits", "mnist", "emnist", "kmnist", "svhn_cropped")
# What TensorFlow and Keras raise where a model cannot be called on given images.
CALL_ERRORS = (tf.errors.OpError, ValueError, TypeError, LookupError)


def make_classifier(model: Any, dataset: Dataset, seed: int) -> Classifier:
    """Makes the defender from the argument `model` of `mmtf.train`.

    Call it inside the strategy's scope.

    Args:
      model: a Keras model, a Classifier of one, or a function that makes either; None: the default
        net for the dataset.
      dataset: decides on the default net and its shapes.
      seed: seed for the initial weights of the default net.

    Raises:
      ConfigError: `model` is of another type, or the Classifier has no Keras model.
    """
    if model is None:
        name = default_net(dataset.name)
        model = NETS[name](
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
            seed=seed,
            **default_net_options(name),
        )
    elif not isinstance(model, (keras.Model, Classifier)):
        require(callable(model), "a Keras model, or a function that makes one", model)
        model = model()
    classifier = as_classifier(model)
    require(classifier.keras_model is not None, "a Keras model to train", classifier.model)
    return classifier


def usable_precision(precision: str, classifier: Classifier, dataset: Dataset) -> str:
    """The precision of training; `auto` gives float32 if the model does not run in bfloat16.

    Raises:
      ConfigError: the model does not run in the requested precision.
    """
    resolved = resolve_precision(precision)
    images, _ = dataset.train(2)
    # As a graph, like the steps: run eagerly, a call of NumPy takes any type.
    call = tf.function(lambda x: classifier.at(None)(x, training=False), autograph=False)
    try:
        with computing_in(classifier.model, resolved):
            call(images)
    except CALL_ERRORS as error:
        if precision == "auto":
            return "float32"
        raise ConfigError(
            f"Expected a model that computes in {resolved}. Received: one that does not "
            f"({reason_of(error)}). Give precision='float32'."
        ) from error
    return resolved


def validate_model(classifier: Classifier, game: Game, dataset: Dataset, replicas: int) -> None:
    """Checks that a classifier can be trained in `game` on `dataset`.

    Args:
      classifier: around a Keras model.
      game: its threat model defines the box of the images.
      dataset: its first training images are checked.
      replicas: number of replicas of the strategy.

    Raises:
      ConfigError: the model is not built, does not output one logit per class, has losses of
        activations, was made outside the strategy of several replicas, has variables that are not
        float32, has nothing to train, or passes no gradients to the images; or images are outside
        the box. See also `mmtf.classifiers.admission.logits_on`.
    """
    model = classifier.model
    if not model.built:
        raise ConfigError(
            "Expected a built model. Received: one without weights. Call it once on a batch, or "
            "give it an Input."
        )
    images, labels = dataset.train(CHECKED)
    game.threat.require_images(images)
    logits_on(classifier, images[:8], dataset.num_classes)
    tell(classifier)
    require_weights(classifier, game)
    require_gradients(classifier, game, images[:8], labels[:8])
    refuse_activation_losses(classifier, images[:8])
    if replicas > 1 and not all(
        isinstance(one.value, tf.distribute.DistributedValues) for one in model.variables
    ):
        raise ConfigError(
            f"Expected a function that makes the model, for {replicas} replicas. Received: a model "
            "made outside of their strategy. Give the function, or make one device visible "
            "(CUDA_VISIBLE_DEVICES=0)."
        )
    for weight in model.trainable_variables:
        if weight.dtype != "float32":
            raise ConfigError(
                f"Expected float32 variables. Received: {weight.path} of {weight.dtype}. Use "
                "precision='bfloat16' to compute in bfloat16."
            )


def refuse_mirrored(words: tuple[str, ...], dataset: str) -> None:
    """Raises ConfigError for `flip` on digits or letters.

    Args:
      words: the augmentations asked for, `mmtf.schedule.AUGMENTATIONS`.
      dataset: name of the dataset.
    """
    if "flip" in words and base_name(dataset) in NOT_MIRRORED:
        left = ",".join(word for word in words if word != "flip") or "crop"
        raise ConfigError(
            f"Expected augment without flip for {base_name(dataset)}, whose classes have no mirror "
            f"images. Received: {','.join(words)}. Give {left}."
        )


def refuse_local_statistics(model: keras.Model, replicas: int) -> None:
    """Raises ConfigError if moving statistics would differ between replicas."""
    if replicas == 1:
        return
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized:
            raise ConfigError(
                f"Expected BatchNormalization(synchronized=True) on {replicas} replicas, whose "
                f"moving statistics would differ otherwise. Received: layer {layer.name!r}."
            )


def validate_batch_size(batch_size: int, game: Game, replicas: int) -> None:
    """Raises ConfigError unless a global batch can be divided among the replicas for `game`."""
    if batch_size % replicas:
        raise ConfigError(
            f"Expected a batch size divisible by the {replicas} replicas. Received: {batch_size}."
        )
    divisor = game.batch_divisor
    if replicas > 1 and batch_size // replicas % divisor:
        raise ConfigError(
            f"Expected a batch size divisible by {divisor} times the {replicas} replicas, for "
            f"{type(game).__name__} treats one example in {divisor} unlike the others. "
            f"Received: {batch_size}."
        )


def refuse_activation_losses(classifier: Classifier, images: Any) -> None:
    """Raises ConfigError if a model has losses of its activations.

    Args:
      classifier: around a Keras model.
      images: a few, [N, H, W, C].
    """
    with keras.StatelessScope(collect_losses=True) as scope:
        classifier.at(None)(images, training=True)
    if scope.losses:
        raise ConfigError(
            "Expected a model without losses of its activations, which no game's risk has. "
            "Received: one with activity_regularizer or add_loss. Remove them; regularizers of "
            "weights are kept."
        )
