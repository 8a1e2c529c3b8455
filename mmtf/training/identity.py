"""What must be the same where a training goes on from a checkpoint."""

import contextlib
from collections.abc import Mapping
from typing import Any

import keras

from mmtf.arguments import kept_arguments
from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.fingerprint import architecture, parts_of
from mmtf.classifiers.state import constants_of
from mmtf.config import without_added_defaults
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError
from mmtf.games.base import Game
from mmtf.kernels.keras_internals import variables_trained_by
from mmtf.schedule import Schedule
from mmtf.storage.digest import sha256
from mmtf.training.examples import weights_of
from mmtf.training.options import TrainOptions
from mmtf.training.trainer import Trainer


def identity_of(
    trainer: Trainer, dataset: Dataset, schedule: Schedule, options: TrainOptions, extra: str
) -> dict[str, Any]:
    """The settings that must be the same when a run is resumed; call it before the first step.

    All names are always there, also those of settings that are not used: a name that a record lacks
    is one that an older mmtf did not record, which cannot be compared.

    Args:
      trainer: holds the game and the players.
      dataset, schedule, options: as given to `mmtf.train`.
      extra: digest of the extra examples; "": there are none.
    """
    game, classifier = trainer.game, trainer.players.classifier
    constants = constants_of(classifier.model)
    named = [part for item in constants.items() for part in item]
    weights = weights_of(dataset, options)
    return {
        "game": _game_identity(game),
        "networks": _networks("", kept_arguments(game), _trained(trainer)),
        "schedule": schedule.to_dict(),
        "seed": options.seed,
        "model": architecture(classifier.model),
        "dataset": {
            "name": dataset.name,
            "preprocess": getattr(dataset.preprocess, "__qualname__", ""),
            "images": dataset.raw_digest,
        },
        "constants": sha256(*named)[:16] if named else "",
        "output": classifier.output,
        "pixels": {
            "bounds": list(classifier.bounds),
            "preprocessing": getattr(classifier.preprocessing, "__qualname__", ""),
        },
        "extra": extra,
        "weights": "" if weights is None else sha256(weights),
    }


def _game_identity(game: Any) -> dict[str, Any]:
    """Class and settings of a game; of a game within a game (`AWP`), too."""
    settings = kept_arguments(game)
    for name, value in settings.items():
        if isinstance(value, Game):
            settings[name] = _game_identity(value)
    return {"class": type(game).__name__, **without_added_defaults(settings)}


def _trained(trainer: Trainer) -> set[int]:
    """The ids of the variables that the game trains."""
    game, players = trainer.game, trainer.players
    found = list(game.trainable(players))
    for updater in players.updaters.values():
        if isinstance(updater, keras.optimizers.Optimizer):
            found += variables_trained_by(updater)
    return {id(one) for one in found}


def _networks(place: str, value: Any, trained: set[int]) -> dict[str, str]:
    """Place -> hash of each network that the settings of a game hold, such as a fixed attacker.

    Of one that the game trains only the architecture counts: its weights are the checkpoint's.
    """
    if isinstance(value, Classifier):
        if value.keras_model is not None and _is_trained(value.keras_model, trained):
            return {place: architecture(value.keras_model)}
        with contextlib.suppress(ConfigError):  # around a function that nothing identifies
            return {place: value.fingerprint[:16]}
        return {}
    if isinstance(value, keras.Model):
        values = [] if _is_trained(value, trained) else parts_of(value)[1:]
        # Without the layers' names, which Keras numbers within a process.
        return {place: sha256(architecture(value), *values)[:16]}
    items: Any = ()
    if isinstance(value, Game | Attack):
        items = kept_arguments(value).items()
    elif isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    found: dict[str, str] = {}
    for name, one in items:
        found |= _networks(f"{place}.{name}".lstrip("."), one, trained)
    return found


def _is_trained(model: keras.Model, trained: set[int]) -> bool:
    return any(id(one) in trained for one in model.trainable_variables)
