"""Adversarial attacks: attack(classifier, x, y, seed=...) -> z with ||z - x||_p <= eta (Eq. 5).

`ATTACKS` maps the name of an attack, as in `--attacks`, to its class.
"""

from typing import Any

from mmtf.registry import Registry

_PLACES = {
    "none": "mmtf.attacks.single_step:NoAttack",
    "gradient_step": "mmtf.attacks.single_step:GradientStep",
    "fgsm": "mmtf.attacks.single_step:FGSM",
    "fgm": "mmtf.attacks.single_step:FGM",
    "ifgsm": "mmtf.attacks.iterated:IFGSM",
    "pgd": "mmtf.attacks.iterated:PGD",
    "apgd": "mmtf.attacks.apgd:APGD",
    "apgd_targeted": "mmtf.attacks.apgd:APGDTargeted",
    "deepfool": "mmtf.attacks.deepfool:DeepFool",
    "carlini_wagner": "mmtf.attacks.carlini_wagner:CarliniWagner",
    "fab": "mmtf.attacks.fab:FAB",
    "square": "mmtf.attacks.square:Square",
    "selective": "mmtf.attacks.selective:Selective",
    "autoattack": "mmtf.attacks.autoattack:AutoAttack",
}
ATTACKS = Registry(
    "attack",
    _PLACES,
    bases=("mmtf.attacks.base:Attack", "mmtf.evaluation.fitted:FittedAttack"),
)

# Class name -> place, for `from mmtf.attacks import PGD`: the attacks of the registry, and those
# built from another attack, from an attack network or from a perturbation.
_CLASSES = Registry(
    "attack class",
    {
        **{place.partition(":")[2]: place for place in _PLACES.values()},
        "IteratedAttack": "mmtf.attacks.iterated:IteratedAttack",
        "LearnedAttack": "mmtf.attacks.attack_network:LearnedAttack",
        "Transfer": "mmtf.attacks.transfer:Transfer",
        "ExpectationOverTransformation": "mmtf.attacks.eot:ExpectationOverTransformation",
        "UniversalPerturbation": "mmtf.attacks.universal:UniversalPerturbation",
    },
)

# Attack networks, by who trained them: `attnet` and `attnet_paper` are trained against the
# evaluated classifier, by the strongest known recipe and by the paper's; `attnet_met` is the one
# that the classifier was trained against.
NETWORK_ATTACKS = ("attnet", "attnet_paper", "attnet_met")

__all__ = ["ATTACKS", "NETWORK_ATTACKS", *_CLASSES]


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    raise AttributeError(f"module 'mmtf.attacks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
