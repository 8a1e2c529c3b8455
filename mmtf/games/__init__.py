"""The games of the paper: who plays, over which risk, by which step."""

from mmtf.registry import Registry

GAMES = Registry(
    "game",
    {
        "undefended": "mmtf.games.undefended:Undefended",
        "adv_fgsm": "mmtf.games.adv_fgsm:AdvFGSM",
        "lwa": "mmtf.games.lwa:LWA",
        "adv_pgd": "mmtf.games.adv_pgd:AdvPGD",
        "minimax_grad": "mmtf.games.minimax_grad:MinimaxGrad",
        "minimax_attnet": "mmtf.games.minimax_attnet:MinimaxAttNet",
        "alt_attnet": "mmtf.games.alt_attnet:AltAttNet",
        "maximin_attnet": "mmtf.games.maximin_attnet:MaximinAttNet",
    },
    bases=("mmtf.games.base:Game",),
)

__all__ = ["GAMES"]
