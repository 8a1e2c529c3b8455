"""Signs that an attack's figure says more about the attack than about the defense."""

import dataclasses

import numpy as np
import tensorflow as tf

from mmtf import losses
from mmtf.attacks.base import input_gradient
from mmtf.attacks.iterated import PGD
from mmtf.classifiers.classifier import as_classifier
from mmtf.classifiers.precision import evaluating_in_float32
from mmtf.evaluation.runner import BrokenConstraint, measure
from mmtf.stats.paired import mcnemar
from mmtf.threat import ThreatModel

# Examples that the checks of one classifier look at.
EXAMPLES = 200
# A gradient of the margin below this is float32 noise for pixels and logits of order 1. The
# cross-entropy's fades with the confidence, which attacks by signs do not mind: exact zeros.
LEAST = {"margin": 1e-8, "cross-entropy": 0.0}
ZERO_SHARE = 0.05
UNBOUNDED_ERROR = 0.99
PROBE_SHARE = 0.1
PROBE_DIRECTIONS = 10
LEVEL = 0.01
# Attacks without a gradient, as are transferred ones (`pgd@source`), and those with one that can
# be expected to win.
BLACK_BOX = {"square"}
ITERATED = {"ifgsm", "pgd", "apgd", "apgd_targeted", "fab", "carlini_wagner"}
# It contains Square: stronger than a single step or a transferred image in any case.
ENSEMBLES = {"autoattack"}
SINGLE_STEP = {"fgsm", "fgm", "gradient_step"}
FEW_STEPS, MANY_STEPS = 10, 100
# What raises each sign, what it means, what to do.
MEANINGS = {
    "random_output": (
        "two calls on the same images gave different logits: the defense is randomized; average "
        "its gradients over draws and report several evaluations"
    ),
    "zero_gradient": (
        "the gradient is zero or not finite: attacks by gradients cannot move; look for saturating "
        "or rounding layers, or logits so large that the cross-entropy is flat, and trust Square's "
        "figure alone"
    ),
    "broken_attack": (
        "the attack left its ball or the box, or met or returned NaN: it is left out; look for "
        "gradients that are not finite"
    ),
    "bounded_without_bound": (
        "PGD fails even where the ball is the whole box: no classifier is robust there, so its "
        "gradients are masked"
    ),
    "rough_loss": (
        "random directions raise the loss more than the gradient's: the loss surface is too rough "
        "for gradients to lead"
    ),
    "black_box_wins": (
        "a black-box attack beats every white-box attack: gradients are masked, the true worst "
        "case is worse"
    ),
    "single_step_wins": (
        "a single step beats every iterated attack: the loss surface misleads gradients, or the "
        "iterated attacks are set wrongly; the true worst case is worse"
    ),
    "more_steps_weaker": (
        "PGD with ten times the steps breaks fewer examples: the loss surface misleads gradients, "
        "the true worst case is worse"
    ),
    "larger_eta_weaker": (
        "a larger radius gives a smaller error: the attack is not converged, give it more steps"
    ),
}


@dataclasses.dataclass(frozen=True)
class Sign:
    """Attributes:
    defense: whose figures are in doubt.
    check: name in MEANINGS.
    value: what was measured, in words.
    """

    defense: str
    check: str
    value: str

    def __str__(self):
        return f"{self.defense}: {self.check} ({self.value}): {MEANINGS[self.check]}."


def check_defense(
    name: str, classifier, x, y, threat: ThreatModel, seed: int = 0, attacked=None
) -> list[Sign]:
    """Signs of masked gradients in a classifier, on the first 200 examples.

    Args:
      name: for the signs.
      classifier: gives logits.
      x: float32 [N, H, W, C] in the box.
      y: int [N].
      threat: whose eta the loss surface is probed at.
      seed: of random directions.
      attacked: what attacks see in its place, the mean of a randomized classifier; None: itself.
    """
    x, y = np.asarray(x[:EXAMPLES], np.float32), np.asarray(y[:EXAMPLES], np.int32)
    images, labels = tf.constant(x), tf.constant(y)
    signs = []
    with evaluating_in_float32(classifier):
        call = as_classifier(classifier).compiled(
            "logits", lambda model, x: model(x, training=False)
        )
        if np.abs(call(images) - call(images)).max() > 0:
            share = float(np.mean(np.abs(call(images) - call(images)).max(-1) > 0))
            signs.append(Sign(name, "random_output", f"{share:.0%} of {len(x)} examples"))
    classifier = attacked or classifier
    with evaluating_in_float32(classifier):
        raised = {"margin": losses.margin, "cross-entropy": losses.cross_entropy}
        gradients = {
            loss: input_gradient(as_classifier(classifier), images, labels, function)[1]
            for loss, function in raised.items()
        }
    finite = True
    for loss, gradient in gradients.items():
        size = np.abs(gradient.numpy()).reshape(len(x), -1).max(1)
        finite &= bool(np.isfinite(size).all())
        dead = float(np.mean(~((size > LEAST[loss]) & np.isfinite(size))))
        if dead > ZERO_SHARE or not np.isfinite(size).all():
            value = f"of the {loss}, {dead:.0%} of {len(x)} examples"
            signs.append(Sign(name, "zero_gradient", value))
    if not finite:
        return signs  # nothing more can be learned by gradients
    try:
        for sign in _signs_of_pgd(name, classifier, x, y, threat, seed):
            signs.append(sign)
    except BrokenConstraint as error:  # gradients that are finite at the images and not on the way
        return [*signs, Sign(name, "broken_attack", f"pgd: {error}")]
    rough = _rough_share(classifier, images, labels, gradients["margin"], threat, seed)
    if rough > PROBE_SHARE:
        signs.append(Sign(name, "rough_loss", f"{rough:.0%} of {len(x)} examples"))
    return signs


def _signs_of_pgd(name, classifier, x, y, threat, seed):
    low, high = threat.box
    whole = ThreatModel(eta=high - low, box=threat.box)
    error = measure(classifier, PGD(whole, steps=40), x, y, name="pgd", seed=seed).error
    if error < UNBOUNDED_ERROR:
        yield Sign(name, "bounded_without_bound", f"error {error:.3f} at eta {whole.eta:g}")
    few, many = (
        measure(classifier, PGD(threat, steps=steps), x, y, name="pgd", seed=seed).wrong
        for steps in (FEW_STEPS, MANY_STEPS)
    )
    if _beats(few, many):
        value = f"error {few.mean():.3f} by {FEW_STEPS} steps, {many.mean():.3f} by {MANY_STEPS}"
        yield Sign(name, "more_steps_weaker", value)


def _rough_share(classifier, x, y, gradient, threat, seed):
    """Share of examples whose margin one of some random steps raises more than the gradient's."""
    with evaluating_in_float32(classifier):
        margin = as_classifier(classifier).compiled(
            "margin", lambda model, x, y: losses.margin(model(x, training=False), y)
        )
        led = margin(threat.project(x + threat.eta * threat.steepest_step(gradient), x), y)
        best = None
        for number in range(PROBE_DIRECTIONS):
            direction = tf.random.stateless_normal(tf.shape(x), [seed, number])
            step = threat.eta * threat.steepest_step(direction)
            found = margin(threat.project(x + step, x), y)
            best = found if best is None else tf.maximum(best, found)
    return float(tf.reduce_mean(tf.cast(best > led, tf.float32)))


def check_table(wrong: dict) -> list[Sign]:
    """Signs in a whole table of outcomes.

    Args:
      wrong: (defense, attack, eta) -> bool [N], where the defense errs.
    """
    signs = []
    for defense in dict.fromkeys(key[0] for key in wrong):
        own = {key[1:]: value for key, value in wrong.items() if key[0] == defense}
        for eta in sorted({eta for _, eta in own}):
            here = {attack: value for (attack, at), value in own.items() if at == eta}
            white = [value for name, value in here.items() if name in ITERATED]
            strong = white + [value for name, value in here.items() if name in ENSEMBLES]
            others = [name for name in here if name in SINGLE_STEP or _is_black_box(name)]
            for name in others:
                # All iterated attacks together, so that no single weak one raises the sign.
                rivals = white if name in BLACK_BOX else strong
                if not rivals:
                    continue
                a, b = here[name], np.logical_or.reduce(rivals)
                if _beats(a, b):
                    value = f"{name} {np.mean(a):.4f} > {np.mean(b):.4f} at eta {eta:g}"
                    check = "black_box_wins" if _is_black_box(name) else "single_step_wins"
                    signs.append(Sign(defense, check, value))
        for attack in dict.fromkeys(attack for attack, _ in own if "@" not in attack):
            etas = sorted(eta for name, eta in own if name == attack)
            for small, large in zip(etas, etas[1:], strict=False):
                a, b = own[attack, small], own[attack, large]
                if _beats(a, b):
                    value = f"{attack} {np.mean(a):.4f} at {small:g}, {np.mean(b):.4f} at {large:g}"
                    signs.append(Sign(defense, "larger_eta_weaker", value))
    return signs


def _beats(a, b):
    """Whether `a` breaks more examples than `b`, beyond chance."""
    return np.mean(a) > np.mean(b) and mcnemar(a, b) < LEVEL


def _is_black_box(name):
    return name in BLACK_BOX or "@" in name
