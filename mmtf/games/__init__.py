"""Games between a classifier and an attacker: their players, objective and update step.

`mmtf.games.MinimaxGrad(threat)` makes a game for `mmtf.train`. `GAMES` maps the names used on the
command line to the classes. `mmtf.games.Game` documents how to define another game.
"""

import importlib
from typing import Any

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
        "ibp": "mmtf.games.ibp:IBP",
        "crown_ibp": "mmtf.games.ibp:CrownIBP",
        "mtl_ibp": "mmtf.games.mtl_ibp:MTLIBP",
        "pgd_mtl_ibp": "mmtf.games.mtl_ibp:PGDThenMTLIBP",
        "sabr": "mmtf.games.sabr:SABR",
        "strongest": "mmtf.games.mtl_ibp:Strongest",
        "smooth_gaussian": "mmtf.games.smooth_gaussian:SmoothGaussian",
        "smooth_adv": "mmtf.games.smooth_adv:SmoothAdv",
        "union": "mmtf.games.union:Union",
        "trades": "mmtf.defenses.trades:Trades",
        "mart": "mmtf.defenses.mart:Mart",
        "fgsm_rs": "mmtf.defenses.fgsm_rs:FGSMRS",
        "n_fgsm": "mmtf.defenses.n_fgsm:NFGSM",
        "grad_align": "mmtf.defenses.grad_align:GradAlign",
        "free": "mmtf.defenses.free:Free",
        "cure": "mmtf.defenses.cure:CURE",
        "llr": "mmtf.defenses.llr:LLR",
        "input_gradient": "mmtf.defenses.input_gradient:InputGradient",
        "distillation": "mmtf.defenses.distillation:Distillation",
        "ensemble_adv": "mmtf.defenses.ensemble_adv:EnsembleAdv",
    },
    bases=("mmtf.games.base:Game",),
)

# Class -> its module, imported on first use, since importing TensorFlow takes seconds. Defenses of
# other authors have a room of their own.
DEFENSES = {
    "AWP": "mmtf.defenses.awp",
    "CURE": "mmtf.defenses.cure",
    "Distillation": "mmtf.defenses.distillation",
    "EnsembleAdv": "mmtf.defenses.ensemble_adv",
    "FGSMRS": "mmtf.defenses.fgsm_rs",
    "Free": "mmtf.defenses.free",
    "GradAlign": "mmtf.defenses.grad_align",
    "InputGradient": "mmtf.defenses.input_gradient",
    "LLR": "mmtf.defenses.llr",
    "Mart": "mmtf.defenses.mart",
    "NFGSM": "mmtf.defenses.n_fgsm",
    "Trades": "mmtf.defenses.trades",
}
_CLASSES = {
    **DEFENSES,
    "AdvFGSM": "mmtf.games.adv_fgsm",
    "AdvPGD": "mmtf.games.adv_pgd",
    "AltAttNet": "mmtf.games.alt_attnet",
    "Batch": "mmtf.games.players",
    "BestDefense": "mmtf.games.best_defense",
    "BestResponse": "mmtf.games.best_response",
    "CertifiedGame": "mmtf.games.certified",
    "CrownIBP": "mmtf.games.ibp",
    "Game": "mmtf.games.base",
    "IBP": "mmtf.games.ibp",
    "LWA": "mmtf.games.lwa",
    "MaximinAttNet": "mmtf.games.maximin_attnet",
    "MTLIBP": "mmtf.games.mtl_ibp",
    "MinimaxAttNet": "mmtf.games.minimax_attnet",
    "MinimaxGrad": "mmtf.games.minimax_grad",
    "PGDThenMTLIBP": "mmtf.games.mtl_ibp",
    "Players": "mmtf.games.players",
    "SABR": "mmtf.games.sabr",
    "SmoothAdv": "mmtf.games.smooth_adv",
    "SmoothGaussian": "mmtf.games.smooth_gaussian",
    "Strongest": "mmtf.games.mtl_ibp",
    "StepContext": "mmtf.games.players",
    "Undefended": "mmtf.games.undefended",
    "Union": "mmtf.games.union",
}

__all__ = ["GAMES", *_CLASSES]


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return getattr(importlib.import_module(_CLASSES[name]), name)
    raise AttributeError(f"module 'mmtf.games' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
