"""The game and round to which a row or column of the paper's tables belongs."""

import re

from mmtf.errors import ConfigError
from mmtf.games import GAMES
from scripts.paper.cells import Cell

# Cells of a run that are drawn, not attacks.
CURVE, IMAGES = "curve", "images"
# The attack network that a game ends with, against its classifier.
MET = "attnet_met"
GALLERY = "gallery"
# Figure 3: the games whose classifiers (of rounds) or attack networks make the images.
GALLERY_GAMES = ("adv_fgsm", "minimax_attnet", "alt_attnet", "maximin_attnet")


def defender(defense: str, rounds: int) -> tuple[str, int | None]:
    """Returns (game, round) of a row; round None: the run's final classifier.

    As in the paper, the undefended classifier is round 0 of the cat-and-mouse game; the paper's
    last round corresponds to the last of `rounds`.

    Example:
      >>> defender("no_defense", 80), defender("adv_fgsm80", 20), defender("lwa", 80)
      (('adv_fgsm', 0), ('adv_fgsm', 20), ('lwa', None))
    """
    if defense == "no_defense":
        return "adv_fgsm", 0
    match = re.fullmatch(r"adv_fgsm(\d+)", defense)
    if match:
        return "adv_fgsm", _round(int(match[1]), rounds)
    if defense not in list(GAMES):
        raise ConfigError(f"Expected a row of the paper's tables. Received: {defense!r}.")
    return defense, None


def replayed_round(attack: str, rounds: int) -> int | None:
    """Returns the round on whose classifier FGSM k is crafted, k - 1; None for other attacks.

    Example:
      >>> replayed_round("fgsm1", 80), replayed_round("fgsm80", 20), replayed_round("none", 80)
      (0, 19, None)
    """
    match = re.fullmatch(r"fgsm(\d+)", attack)
    return _round(int(match[1]), rounds) - 1 if match else None


def games_of(cell: Cell, rounds: int) -> tuple[str, ...]:
    """Returns the games whose runs a cell needs: the defender's, then a replayed attack's."""
    if cell.attack == IMAGES:
        return GALLERY_GAMES
    game, _ = defender(cell.defense, rounds)
    replays = replayed_round(cell.attack, rounds) is not None
    return (game, "adv_fgsm") if replays and game != "adv_fgsm" else (game,)


def _round(number, rounds):
    return number if number <= 2 else rounds
