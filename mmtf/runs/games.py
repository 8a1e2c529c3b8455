"""The game of a run."""

from typing import Any

from mmtf.config import RunConfig
from mmtf.games import GAMES
from mmtf.threat import ThreatModel


def make_game(config: RunConfig) -> Any:
    """Builds the game of `config` with its options and threat model."""
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    return GAMES[config.game](threat, **config.game_options)
