"""Callbacks that `AdversarialModel.fit` adds, and the order of the user's own."""

from collections.abc import Sequence
from typing import Any

import keras

from mmtf.errors import ConfigError
from mmtf.fit.robust_accuracy import RobustAccuracy


def with_rounds(model: Any, callbacks: Any) -> Any:
    """The user's callbacks, after the one that begins the rounds of a game in rounds.

    Args:
      model: the AdversarialModel.
      callbacks: a callback, a list of them, None, or a CallbackList, which is returned as it is.

    Raises:
      ConfigError: see `require_order`.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    own = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else callbacks or []
    every = [*([_Rounds()] if model.game.rounds else []), *own]
    require_order(every)
    return every


def require_order(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Checks that a RobustAccuracy comes before the callbacks that monitor it.

    Raises:
      ConfigError: one that monitors it comes first and would not see its value.
    """
    seen: list[str] = []
    names = [one.name for one in callbacks if isinstance(one, RobustAccuracy)]
    for one in callbacks:
        if isinstance(one, RobustAccuracy):
            seen.append(one.name)
        monitored = getattr(one, "monitor", None)
        if monitored in names and monitored not in seen:
            raise ConfigError(
                f"Expected RobustAccuracy before the callback that monitors {monitored}. "
                f"Received: {type(one).__name__} first. Exchange them in the list."
            )


class _Rounds(keras.callbacks.Callback):
    """Begins round k of the model's game at epoch k * epochs_per_round."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        number = min(epoch // self.model.epochs_per_round, self.model.game.rounds)
        self.model.enter_round(number)
