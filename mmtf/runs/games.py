"""The game of a run."""

from typing import Any

from mmtf.config import RunConfig
from mmtf.defenses.awp import AWP
from mmtf.games import GAMES
from mmtf.threat import ThreatModel


def make_game(config: RunConfig) -> Any:
    """Builds the game of `config` with its options and threat model."""
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    game = GAMES[config.game](threat, **config.game_options)
    if not config.awp_gamma:
        return game
    return AWP(game, gamma=config.awp_gamma, after=config.awp_after)
