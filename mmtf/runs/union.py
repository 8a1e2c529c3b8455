"""The attackers of a union game in the table, the curve and the files of a run."""

from collections.abc import Mapping

import keras

from mmtf.attacks import ATTACKS
from mmtf.attacks.attack_network import LearnedAttack
from mmtf.attacks.base import Attack
from mmtf.config import RunConfig
from mmtf.games.players import Players
from mmtf.games.union import Union, network_name
from mmtf.runs.games import make_game

# The row of the per-example worst case over the attackers of the game.
UNION = "union"


def attackers_of(players: Players) -> dict[str, keras.Model]:
    """The attack networks among the players: `attacker`, or `attacker_NAME` of a union game."""
    return {
        name: model
        for name, model in players.models.items()
        if name == "attacker" or name.startswith(network_name(""))
    }


def union_attacks(config: RunConfig, networks: Mapping[str, keras.Model]) -> dict[str, Attack]:
    """The attackers of a union game, as rows of the table; none for another game.

    Args:
      config: the run's configuration; PGD has its steps and restarts.
      networks: see `attackers_of`.

    Returns:
      Row -> attack, each in its own ball: `fgsm_curr` and `pgd_l2_curr`, computed against the
      classifier; `unet_met`, the network that was trained with it.
    """
    game = make_game(config)
    if not isinstance(game, Union):
        return {}
    options = {"pgd": {"steps": config.pgd_steps, "restarts": config.pgd_restarts}}
    rows: dict[str, Attack] = {}
    for one in game.parts:
        if one.learned:
            rows[f"{one.name}_met"] = LearnedAttack(one.threat, networks[network_name(one.name)])
        elif one.name == "none":
            rows[one.name] = ATTACKS[one.kind](one.threat)
        else:
            made = ATTACKS[one.kind](one.threat, **options.get(one.kind, {}))
            rows[f"{one.name}_curr"] = made
    return rows
