"""A game whose attacker takes several steps instead of one."""

import copy

from mmtf.games.adv_pgd import AdvPGD
from mmtf.games.base import Game


def with_several_steps(game: Game) -> Game:
    """The game with the max step of `AdvPGD`, PGD of 7 steps from a random start.

    Its objective, its players and their optimizers stay. All examples of a batch are perturbed, in
    their own order.

    Args:
      game: one whose attacker computes images, by `perturb`.

    Example:
      >>> import mmtf
      >>> game = mmtf.games.MinimaxGrad(mmtf.ThreatModel(eta=0.3))
      >>> with_several_steps(game).single_step
      False
    """
    changed, several = copy.copy(game), AdvPGD(game.threat)
    wrapped = getattr(game, "game", None)
    if isinstance(wrapped, Game):  # AWP, whose attack is that of the game inside
        vars(changed).update(game=with_several_steps(wrapped), max_steps=several.max_steps)
        return changed
    vars(changed).update(
        perturb=several.perturb,
        arranged=lambda values: values,
        max_steps=several.max_steps,
        single_step=False,
    )
    return changed
