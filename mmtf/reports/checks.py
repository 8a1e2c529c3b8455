"""The checks for gradient masking in words for a reader who has not met the term."""

import dataclasses
from typing import Any

from mmtf.config import NORMS
from mmtf.reports.measured import Measured

ABOUT = (
    "Most attacks follow the gradient of the model's loss. A model can hide that gradient without "
    "being robust (gradient masking); attacks then fail although adversarial images exist, and the "
    "robust accuracy looks better than it is. These checks look for that. A sign puts the figures "
    "of its model in doubt; no sign does not prove that the figures are right."
)
SINGLE_STEP = {"fgsm", "fgm", "gradient_step"}
ITERATED = {"ifgsm", "pgd", "apgd", "apgd_targeted", "fab", "carlini_wagner"}
MANY = ITERATED | {"autoattack"}
# Checks that run PGD or compare gradients: they say little where gradients vanish.
NEED_GRADIENTS = ("bounded_without_bound", "rough_loss", "more_steps_weaker")


@dataclasses.dataclass(frozen=True)
class Check:
    """What a check asks, and what a sign means for the figures.

    Attributes:
      question: answered with yes by a model whose figures can be trusted.
      meaning: of a sign, with what to do.
    """

    question: str
    meaning: str


# As keyed by `mmtf.evaluation.gradient_masking.MEANINGS`; reports lie below that room.
CHECKS = {
    "random_output": Check(
        "Does the model give the same answer twice for the same image?",
        "The model is randomized: attacks follow a gradient that changes from call to call. "
        "Average it over several calls (--eot_samples) and report several evaluations.",
    ),
    "zero_gradient": Check(
        "Does the gradient say in which direction an image should be changed?",
        "The gradient is zero or not finite, so attacks that follow it do not move. Look for "
        "layers that saturate or round, and for very large logits; only square, which needs no "
        "gradient, can be trusted.",
    ),
    "broken_attack": Check(
        "Did every attack stay within its limits and return finite images?",
        "An attack left the permitted distance or the range of pixels, or met NaN. It is left out "
        "for this model. Look for gradients that are not finite.",
    ),
    "bounded_without_bound": Check(
        "Does an attack that may change every pixel at will always succeed?",
        "Such an attack can replace an image by one of another class, so it must succeed. It "
        "failed: the gradients do not lead to adversarial images that exist.",
    ),
    "rough_loss": Check(
        "Does a step along the gradient change the outcome more than random steps do?",
        "The loss is too rough for its gradient to lead anywhere; attacks that follow it are weak.",
    ),
    "black_box_wins": Check(
        "Are attacks that know the model's gradient stronger than those that do not?",
        "An attack without the gradient found more errors than all that follow it: the gradient "
        "misleads, and the true robust accuracy is lower.",
    ),
    "single_step_wins": Check(
        "Are attacks of many steps stronger than those of one step?",
        "One step found more errors than many: the gradient misleads, or the attacks of many "
        "steps are badly tuned. The true robust accuracy is lower.",
    ),
    "more_steps_weaker": Check(
        "Does PGD find at least as many errors with ten times the steps?",
        "More steps found fewer errors: the gradient misleads, and the true robust accuracy is "
        "lower.",
    ),
    "larger_eta_weaker": Check(
        "Does every attack find at least as many errors when it may change more?",
        "A larger radius holds every image of a smaller one, so the attack did not find what "
        "exists. Use more steps.",
    ),
}


def outcome(measured: Measured, defense: str, check: str) -> tuple[bool, str]:
    """Whether a check raised a sign for a model, and what to write.

    Returns:
      (sign, text): the text is the measurement, `no sign`, or why the check says nothing.
    """
    signs = [one for one in measured.record["signs"] if one["defense"] == defense]
    own = [sign_value(one) for one in signs if one["check"] == check]
    if own:
        return True, "sign: " + "; ".join(own)
    names = {a for a in measured.attacks if any(measured.at(defense, a, e) for e in measured.etas)}
    balls = _by_ball(names)
    if check == "larger_eta_weaker" and len(measured.etas) < 2:
        return False, "not run: one radius"
    if check == "black_box_wins" and not any(map(_has_black_box_and_rival, balls)):
        return False, "not run: needs square or a transferred attack, and one of many steps"
    if check == "single_step_wins" and not any(one & SINGLE_STEP and one & MANY for one in balls):
        return False, "not run: needs an attack of one step and one of many"
    if check in NEED_GRADIENTS and any(one["check"] == "zero_gradient" for one in signs):
        return False, "says nothing without gradients"
    return False, "no sign"


def _by_ball(names: set[str]) -> list[set[str]]:
    """The attacks in each ball of a union; those in further balls end in their norm: `pgd_l2`."""
    found = []
    for norm in NORMS:
        here = {name for name in names if name.endswith(f"_{norm}")}
        found.append({name.removesuffix(f"_{norm}") for name in here})
        names = names - here
    return [names, *found]


def _has_black_box_and_rival(names: set[str]) -> bool:
    # AutoAttack contains Square, so the two are not compared.
    transferred = any("@" in name for name in names)
    return bool(("square" in names and names & ITERATED) or (transferred and names & MANY))


def summary(measured: Measured) -> str:
    """Which models have signs, in one sentence."""
    if not measured.doubted:
        return "No sign of gradient masking was found."
    names = [name for name in measured.defenses if name in measured.doubted]
    return f"Signs of gradient masking were found in {', '.join(names)}."


def sign_value(sign: dict[str, Any]) -> str:
    """The measurement of a sign; of older records, which have the sentence alone, the sentence."""
    return sign.get("value", sign["text"])
