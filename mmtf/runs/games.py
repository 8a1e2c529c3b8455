"""The game and the net that a run's configuration describes."""

from collections.abc import Callable
from typing import Any

import keras

from mmtf.config import RunConfig
from mmtf.data import Dataset
from mmtf.defenses.awp import AWP
from mmtf.errors import require
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.threat import ThreatModel


def make_game(config: RunConfig) -> Any:
    """Builds the game of `config` with its options and threat model."""
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    game = GAMES[config.game](threat, **config.game_options)
    if not config.awp_gamma:
        return game
    return AWP(game, gamma=config.awp_gamma, after=config.awp_after)


def net_maker(
    config: RunConfig, dataset: Dataset, seed: int | None = None
) -> Callable[[], keras.Model]:
    """Returns a function that builds a newly initialized classifier of `config`.

    Args:
      config: the run's configuration.
      dataset: gives the image shape and the number of classes.
      seed: of the initial weights; None: `config.seed`.
    """

    def make_net() -> keras.Model:
        net = NETS[config.net](
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
            seed=config.seed if seed is None else seed,
            **config.net_options,
        )
        # The files of a run hold the Keras model alone.
        advice = "; put the scale of its pixels into it as a Rescaling layer"
        require(isinstance(net, keras.Model), f"a keras.Model from --net{advice}", type(net))
        return net

    return make_net
