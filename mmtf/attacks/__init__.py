"""Attacks: attack(classifier, x, y, seed) -> z in the ball around x and in the box (Eq. 5)."""

from mmtf.registry import Registry

ATTACKS = Registry(
    "attack",
    {
        "none": "mmtf.attacks.none:NoAttack",
        "gradient_step": "mmtf.attacks.gradient_step:GradientStep",
        "fgsm": "mmtf.attacks.fgsm:FGSM",
        "fgm": "mmtf.attacks.fgm:FGM",
        "ifgsm": "mmtf.attacks.ifgsm:IFGSM",
        "pgd": "mmtf.attacks.pgd:PGD",
        "apgd": "mmtf.attacks.apgd:APGD",
        "apgd_targeted": "mmtf.attacks.apgd_targeted:APGDTargeted",
        "deepfool": "mmtf.attacks.deepfool:DeepFool",
        "carlini_wagner": "mmtf.attacks.carlini_wagner:CarliniWagner",
        "fab": "mmtf.attacks.fab:FAB",
        "square": "mmtf.attacks.square:Square",
        "autoattack": "mmtf.attacks.autoattack:AutoAttack",
    },
    bases=("mmtf.attacks.base:Attack", "mmtf.evaluation.fitted:FittedAttack"),
)

# Attacks made of an attack, or of images: from mmtf.attacks import Transfer.
MADE = Registry(
    "attack made of others",
    {
        "Transfer": "mmtf.attacks.transfer:Transfer",
        "ExpectationOverTransformation": "mmtf.attacks.eot:ExpectationOverTransformation",
        "UniversalPerturbation": "mmtf.attacks.universal:UniversalPerturbation",
    },
)

# Attack networks: trained against the classifier in the row by the strongest or by the paper's
# recipe, or the one that the game itself has trained.
NETWORK_ATTACKS = ("attnet", "attnet_paper", "attnet_met")

__all__ = ["ATTACKS", "MADE", "NETWORK_ATTACKS", *MADE]


def __getattr__(name: str):
    if name in MADE:
        return MADE[name]
    raise AttributeError(f"module 'mmtf.attacks' has no attribute {name!r}")
