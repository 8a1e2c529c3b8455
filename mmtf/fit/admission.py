"""What `AdversarialModel` accepts: models, games, losses and optimizers."""

from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.admission import logits_on, tell
from mmtf.classifiers.classifier import BOX, Classifier
from mmtf.errors import (
    ConfigError,
    require,
    require_int,
    require_number,
    require_range,
    require_seed,
)
from mmtf.games.base import Game
from mmtf.games.players import Players
from mmtf.kernels.keras_internals import layers_of
from mmtf.solvers.optimizers import refuse_clipping
from mmtf.training.admission import refuse_activation_losses, refuse_local_statistics
from mmtf.training.gradients import require_gradients, require_weights

# For models that take images of any size, to see what they return.
SIDE = 32
LOSSES = (keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy)


def make_classifier(model: Any, game: Game, bounds: Any) -> Classifier:
    """The Classifier around the model that `fit` trains.

    Args:
      model: a built Keras model, or a Classifier of one.
      game: its threat model has the box.
      bounds: pixel range of the model and of the data; None: that of a Classifier, else the box.

    Raises:
      ConfigError: another model or game, bounds that contradict each other, or a Classifier with a
        preprocessing.
    """
    is_game = hasattr(game, "make_players") and not isinstance(game, type)
    require(is_game, "a game, as mmtf.games.MinimaxGrad(threat)", game)
    if bounds is not None:
        require_range("bounds", bounds)
        bounds = tuple(bounds)
    box = tuple(game.threat.box)
    given = model if isinstance(model, Classifier) else None
    if given is not None:
        if given.preprocessing is not None:
            raise ConfigError(
                "Expected a model that preprocesses its images itself. Received: a Classifier "
                "with a preprocessing. Make it a layer of the model."
            )
        require(bounds is None or bounds == given.bounds, "bounds of the Classifier", bounds)
        model, bounds = given.model, given.bounds
    require(
        isinstance(model, keras.Model) and model.built,
        "a built Keras model (call it once on a batch, or give it an Input)",
        getattr(model, "name", model),
    )
    if bounds is not None and tuple(bounds) != BOX and box != BOX:
        raise ConfigError(
            f"Expected either bounds, with radii on the scale of [-1, 1], or a threat model with "
            f"box {tuple(bounds)}. Received: bounds {tuple(bounds)} and box {box}."
        )
    # Where the box itself is the model's pixel range nothing is to be rescaled.
    return given or Classifier(model, name=model.name, bounds=BOX if bounds is None else bounds)


def input_shape_of(model: keras.Model) -> tuple[Any, ...]:
    """(H, W, C) of the images that a built model takes; None for a size that is not fixed.

    Raises:
      ConfigError: several inputs, or none known.
    """
    shape: Any = getattr(model, "input_shape", None) if hasattr(model, "inputs") else None
    if shape is None:
        shape = (model.get_build_config() or {}).get("input_shape")
    flat = isinstance(shape, tuple | list) and len(shape) == 4
    if not flat or isinstance(shape[0], tuple | list):
        raise ConfigError(
            "Expected a model of one input, images [N, H, W, C], that has been called on a batch. "
            f"Received: input shape {shape}."
        )
    return tuple(shape[1:])


def validate_model(classifier: Classifier, game: Game, replicas: int) -> int:
    """Checks that a model can be trained by `fit`; returns its number of classes.

    Raises:
      ConfigError: no logits [N, classes], nothing to train or no gradients
        (`mmtf.training.gradients`), losses of activations, variables that are not float32 or
        made outside of the strategy of several replicas, moving statistics that would differ
        between replicas, no trainable weights, or weights that another game trains.
    """
    model, (low, high) = classifier.model, game.threat.box
    size = input_shape_of(model)
    if game.trains_networks and None in size:
        raise ConfigError(
            f"Expected a model of one image size for {type(game).__name__}, which trains an attack "
            f"network. Received: {size}. Give it keras.Input((height, width, channels))."
        )
    shape = [SIDE if one is None else one for one in size]
    images = tf.random.stateless_uniform([4, *shape], [0, 0], low, high)
    logits = logits_on(classifier, images)
    tell(classifier)
    require_weights(classifier, game)
    require_gradients(classifier, game, images, logits.argmin(-1).astype("int32"))
    refuse_activation_losses(classifier, images)
    if any(weight.dtype != "float32" for weight in model.trainable_variables):
        raise ConfigError(
            "Expected float32 variables. Received: another type. A policy as mixed_bfloat16 "
            "computes in bfloat16 with float32 variables."
        )
    if replicas > 1 and not all(
        isinstance(one.value, tf.distribute.DistributedValues) for one in model.variables
    ):
        raise ConfigError(
            f"Expected a model made inside strategy.scope(), for {replicas} replicas. Received: "
            "one made outside."
        )
    refuse_local_statistics(model, replicas)
    _refuse_empty_parts(model, game)
    return int(logits.shape[1])


def validate_loss(loss: Any) -> float:
    """Refuses a loss other than the games' own, the cross-entropy of logits.

    Returns:
      Its label smoothing, of the min step.

    Raises:
      ConfigError: another loss.
    """
    if loss is None:
        return 0.0
    plain = type(loss) in LOSSES and loss.get_config().get("from_logits")
    plain = plain and loss.get_config().get("ignore_class") is None
    if not plain:
        named = loss if isinstance(loss, str) else getattr(loss, "name", repr(loss))
        raise ConfigError(
            "Expected loss=None, SparseCategoricalCrossentropy(from_logits=True) or "
            f"CategoricalCrossentropy(from_logits=True). Received: {named!r}. For another "
            "objective write a game (docs/extending.md)."
        )
    smoothing = loss.get_config().get("label_smoothing") or 0.0
    require_number("label_smoothing", smoothing, at_least=0, below=1)
    return smoothing


def validate_optimizer(optimizer: Any, game: Game, replicas: int) -> None:
    """Refuses optimizers that would silently do something else than asked.

    Raises:
      ConfigError: clipping or gradient accumulation on several replicas; loss scaling with a game
        that trains attack networks, which does not scale; rounds with loss scaling or moving
        averages of the weights.
    """
    require(optimizer is not None, "an optimizer, as keras.optimizers.Adam(1e-3)", optimizer)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scales = inner is not optimizer or inner.loss_scale_factor is not None
    if replicas > 1:
        refuse_clipping(inner)
        require(
            not inner.gradient_accumulation_steps,
            f"no gradient_accumulation_steps on {replicas} replicas",
            inner.gradient_accumulation_steps,
        )
    if scales and game.trains_networks:
        raise ConfigError(
            f"Expected an optimizer without loss scaling for {type(game).__name__}. Received: "
            f"{type(optimizer).__name__}. Use mixed_bfloat16 in place of mixed_float16."
        )
    if game.rounds and (scales or inner.use_ema):
        raise ConfigError(
            f"Expected an optimizer without loss scaling and use_ema for {type(game).__name__}, "
            f"which starts it anew in each round. Received: {type(optimizer).__name__}."
        )


def validate_players(players: Players, game: Game) -> None:
    """Refuses games that train other weights than the classifier's own and an attacker's.

    Raises:
      ConfigError: such a game.
    """
    ours = {id(one) for one in players.classifier.trainable_variables}
    trained = {id(one) for one in game.trainable(players)}
    if not ours <= trained or (ours != trained and not game.learns_attacker):
        raise ConfigError(
            "Expected a game that trains the weights of the classifier. Received: "
            f"{type(game).__name__}, which trains others. Use mmtf.train."
        )


def validate_settings(game: Game, warmup_steps: Any, epochs_per_round: Any, seed: Any) -> None:
    """Checks the seed, the steps of the ramp and, for games in rounds, the epochs in a round."""
    require_seed(seed)
    require_int("warmup_steps", warmup_steps, 0)
    if not game.rounds:
        require(epochs_per_round is None, "epochs_per_round for games in rounds", epochs_per_round)
        return
    if epochs_per_round is None:
        raise ConfigError(
            f"Expected epochs_per_round=k for {type(game).__name__}, which is played in "
            f"{game.rounds + 1} rounds of k epochs. Received: None."
        )
    require_int("epochs_per_round", epochs_per_round)


def _refuse_empty_parts(model, game):
    every = getattr(game, "penalty_every", 1)
    layers = [one for one in layers_of(model) if is_batch_norm(one)]
    if every > 1 and layers:
        raise ConfigError(
            "Expected penalty_every=1 for a model with BatchNormalization in fit, whose last batch "
            f"may have a single example. Received: penalty_every={every} and layer "
            f"{layers[0].name!r}."
        )


def is_batch_norm(layer: Any) -> bool:
    """Whether a layer normalizes by statistics of the batch in training."""
    return isinstance(layer, keras.layers.BatchNormalization)
