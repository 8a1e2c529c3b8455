"""Checks of a run's configuration before its data is read."""

import dataclasses

from mmtf.config import INITIALIZERS, RunConfig
from mmtf.errors import require_choice, require_number
from mmtf.evaluation.attack_specs import MET
from mmtf.nets import STRIDED
from mmtf.nets.attack_outputs import OUTPUTS
from mmtf.nets.strided import INITIAL_WEIGHTS
from mmtf.registry import is_place
from mmtf.runs.curve import attacks_of
from mmtf.runs.games import make_game
from mmtf.training.admission import refuse_mirrored
from mmtf.training.monitor import refuse_options


def require_possible(config: RunConfig) -> None:
    """Raises ConfigError for a game, net or attack that cannot be made; reads no data."""
    refuse_options(make_game(config), config.schedule)
    refuse_mirrored(config.schedule.augment, config.dataset)
    attacker = config.game_options.get("net_options", {})
    if "output" in attacker and not is_place(config.game_options["net"]):
        require_choice("attack_output", attacker["output"], OUTPUTS)
    if not is_place(config.net):
        options = config.net_options
        choices = INITIAL_WEIGHTS if config.net in STRIDED else INITIALIZERS
        require_choice("init", options.get("init", choices[0]), choices)
        require_number("dropout", options.get("dropout", 0.0), at_least=0, below=1)
        require_number("weight_decay", options.get("weight_decay", 0.0), at_least=0)
    names = tuple(name for name in config.attacks if name != MET)
    if names:
        attacks_of(dataclasses.replace(config, attacks=names))
