"""The optimizers of a game's players in `fit`."""

import copy
from collections.abc import Callable
from typing import Any

import keras

from mmtf.errors import ConfigError, require


def optimizer_factory(optimizer: Any, attacker_optimizer: Any) -> Callable[..., Any]:
    """The `make_optimizer` of `mmtf.games.Game.make_players` for given Keras optimizers.

    Args:
      optimizer: the classifier's.
      attacker_optimizer: that of an attack network: an optimizer or its name; None: as the
        classifier's, with its learning rate times the game's `attacker_rate`.
    """
    used: list[Any] = []

    def make_optimizer(
        variables: list[keras.Variable] | None = None,
        scale: float = 1.0,
        updates: int = 1,
        player: str = "classifier",
    ) -> keras.optimizers.Optimizer:
        del updates  # the user's schedule counts updates
        if player == "classifier":
            found = optimizer
        elif attacker_optimizer is not None:
            found = keras.optimizers.get(attacker_optimizer)
        else:
            found = _scaled(optimizer, scale)
        require(not any(one is found for one in used), "an optimizer for each player", found.name)
        used.append(found)
        if variables is not None and not found.built:
            found.build(variables)
        return found

    return make_optimizer


def _scaled(optimizer, scale):
    """A copy of an optimizer, not built, with a constant learning rate times `scale`."""
    config = copy.deepcopy(optimizer.get_config())
    if not isinstance(config.get("learning_rate"), float):
        raise ConfigError(
            "Expected compile(attacker_optimizer=...) beside an optimizer whose learning rate is a "
            f"schedule or another optimizer's. Received: {type(optimizer).__name__} alone."
        )
    config["learning_rate"] *= scale
    config.pop("name", None)
    return type(optimizer).from_config({**config, "use_ema": False})
