"""Gradient masking: signs that an attack fails where the classifier is not robust."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf import losses
from mmtf.attacks.iterated import PGD
from mmtf.attacks.queries import input_gradient, margin_fn
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.sources import ImageSource
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.runner import BrokenConstraint, measure
from mmtf.runtime.devices import full_float32
from mmtf.stats.paired import mcnemar
from mmtf.threat import ThreatModel
from mmtf.training.progress import Display, Stage

# Number of examples that the checks of one classifier use.
EXAMPLES = 200
RAISED = {"margin": losses.margin, "cross-entropy": losses.cross_entropy}
# Gradients with no larger entry count as zero. The margin's are then float32 noise for pixels and
# logits of order 1. The cross-entropy's shrink as confidence grows, which does not affect attacks
# that use signs of gradients, so only exact zeros count.
LEAST = {"margin": 1e-8, "cross-entropy": 0.0}
ZERO_SHARE = 0.05
UNBOUNDED_ERROR = 0.99
PROBE_SHARE = 0.1
PROBE_DIRECTIONS = 10
LEVEL = 0.01
# Black-box attacks (transferred attacks, `pgd@source`, are too) and iterated white-box attacks.
BLACK_BOX = {"square"}
ITERATED = {"ifgsm", "pgd", "apgd", "apgd_targeted", "fab", "carlini_wagner"}
# AutoAttack contains Square, so that only other attacks are compared with it.
ENSEMBLES = {"autoattack"}
SINGLE_STEP = {"fgsm", "fgm", "gradient_step"}
UNBOUNDED_STEPS, FEW_STEPS, MANY_STEPS = 40, 10, 100
# Forward passes of an image in the three runs of PGD, which take nearly all of the time.
PASSES = 3.0 * (UNBOUNDED_STEPS + FEW_STEPS + MANY_STEPS)
# For each sign: what was observed, what it means and what to do.
MEANINGS = {
    "random_output": (
        "two calls on the same images gave different logits: the defense is randomized; average "
        "its gradients over draws and report several evaluations"
    ),
    "zero_gradient": (
        "the gradient is zero or not finite: gradient-based attacks cannot move; look for "
        "saturating or rounding layers, or logits so large that the cross-entropy is flat, and "
        "trust Square's error alone"
    ),
    "broken_attack": (
        "the attack left the ball or the box, or met or returned NaN: it is left out; look for "
        "gradients that are not finite"
    ),
    "bounded_without_bound": (
        "PGD fails even where the ball is the whole box: no classifier is robust there, so its "
        "gradients are masked"
    ),
    "rough_loss": (
        "steps in random directions raise the loss more than a gradient step: the loss surface is "
        "too rough for gradient-based attacks"
    ),
    "black_box_wins": (
        "a black-box attack beats all white-box attacks together: gradients are masked, and the "
        "true worst-case error is larger"
    ),
    "single_step_wins": (
        "a single-step attack beats all iterated attacks together: the loss surface misleads "
        "gradients, or the iterated attacks are badly tuned; the true worst-case error is larger"
    ),
    "more_steps_weaker": (
        "PGD with ten times the steps breaks fewer examples: the loss surface misleads gradients, "
        "and the true worst-case error is larger"
    ),
    "larger_eta_weaker": (
        "a larger radius gives a smaller error: the attack has not converged; use more steps"
    ),
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """A sign of masked gradients.

    Attributes:
      defense: name of the classifier whose error rates are in doubt.
      check: key of MEANINGS.
      value: the measurement, as text.
    """

    defense: str
    check: str
    value: str

    def __str__(self) -> str:
        return f"{self.defense}: {self.check} ({self.value}): {MEANINGS[self.check]}."


def masking_in_classifier(
    name: str,
    classifier: Any,
    x: np.ndarray | ImageSource,
    y: np.ndarray,
    threat: ThreatModel,
    seed: int = 0,
    attacked: Any = None,
    batch_size: int | None = None,
    progress: Display | None = None,
) -> list[Finding]:
    """Checks a classifier for signs of masked gradients on the first 200 examples.

    Args:
      name: the classifier's name in the findings.
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      x: float32 [N, H, W, C] in the box.
      y: int [N].
      threat: the ball in which the loss surface is probed, and the box.
      seed: for random starts and directions.
      attacked: the classifier that attacks use instead, such as the mean of a randomized
        classifier over several draws; None: `classifier` itself.
      batch_size: images per batch; None: `default_batch_size`.
      progress: display that is updated with the number of images' worth of work.

    Returns:
      The signs found, an empty list if there are none.
    """
    x, y = np.asarray(x[:EXAMPLES], np.float32), np.asarray(y[:EXAMPLES], np.int32)
    size = batch_size or default_batch_size(x.shape[1:])
    classifier = as_classifier(classifier).at("float32")
    findings = []
    with full_float32():
        call = classifier.compiled("logits", _logits)
        difference = np.abs(_batched(call, size, x) - _batched(call, size, x))
        if difference.max() > 0:
            difference = np.abs(_batched(call, size, x) - _batched(call, size, x))
            share = float(np.mean(difference.max(-1) > 0))
            findings.append(Finding(name, "random_output", f"{share:.0%} of {len(x)} examples"))
        if attacked is not None:
            classifier = as_classifier(attacked)
        gradients = {
            kind: _batched(functools.partial(_largest, classifier, raised), size, x, y)
            for kind, raised in RAISED.items()
        }
    finite = True
    for loss, largest in gradients.items():
        finite &= bool(np.isfinite(largest).all())
        dead = float(np.mean(~((largest > LEAST[loss]) & np.isfinite(largest))))
        if dead > ZERO_SHARE or not np.isfinite(largest).all():
            value = f"of the {loss}, {dead:.0%} of {len(x)} examples"
            findings.append(Finding(name, "zero_gradient", value))
    if not finite:
        return findings  # the other checks need finite gradients
    try:
        for finding in _findings_of_pgd(name, classifier, x, y, threat, seed, size, progress):
            findings.append(finding)
    except BrokenConstraint as error:  # gradients finite at the images, but not along the attack
        return [*findings, Finding(name, "broken_attack", f"pgd: {error}")]
    rough = _rough_share(classifier, x, y, threat, seed, size)
    if rough > PROBE_SHARE:
        findings.append(Finding(name, "rough_loss", f"{rough:.0%} of {len(x)} examples"))
    return findings


def _findings_of_pgd(name, classifier, x, y, threat, seed, size, progress) -> Iterator[Finding]:
    done = 0.0

    def wrong_after(threat, steps):
        nonlocal done
        stage = Stage(progress, done * len(x), 3.0 * steps / PASSES)
        done += 3.0 * steps / PASSES
        attack = PGD(threat, steps=steps)
        found = measure(
            classifier, attack, x, y, name="pgd", seed=seed, batch_size=size, progress=stage
        )
        return found.wrong

    if classifier.rejects:
        # Judged by the class alone: PGD ignores the rules, and a rejected image counts as right.
        classifier = Classifier(classifier, name=classifier.name)
    low, high = threat.box
    whole = ThreatModel(eta=high - low, box=threat.box)
    error = float(np.mean(wrong_after(whole, UNBOUNDED_STEPS)))
    if error < UNBOUNDED_ERROR:
        yield Finding(name, "bounded_without_bound", f"error {error:.3f} at eta {whole.eta:g}")
    few, many = wrong_after(threat, FEW_STEPS), wrong_after(threat, MANY_STEPS)
    if _beats(few, many):
        value = f"error {few.mean():.3f} by {FEW_STEPS} steps, {many.mean():.3f} by {MANY_STEPS}"
        yield Finding(name, "more_steps_weaker", value)


def _rough_share(classifier, x, y, threat, seed, size) -> float:
    """Share of examples on which a random step raises the margin more than a gradient step."""
    margin = margin_fn(classifier)

    def rough(x, y, start):
        def after(direction):
            return margin(threat.linear_maximizer(x, direction), y)

        led = after(_gradient(classifier, losses.margin, x, y))
        found = [
            after(tf.random.stateless_normal(x.shape, [seed, start * PROBE_DIRECTIONS + number]))
            for number in range(PROBE_DIRECTIONS)
        ]
        return tf.reduce_max(tf.stack(found), 0) > led

    with full_float32():
        parts = [
            rough(tf.constant(x[i : i + size]), tf.constant(y[i : i + size]), i)
            for i in range(0, len(x), size)
        ]
    return float(np.mean(np.concatenate(parts)))


def _batched(function, size, *arrays) -> np.ndarray:
    """Calls function(*tensors) on `size` examples at a time and concatenates the results."""
    parts = [
        function(*(tf.constant(one[i : i + size]) for one in arrays))
        for i in range(0, len(arrays[0]), size)
    ]
    return np.concatenate(parts)


def _gradient(classifier, loss, x, y):
    return input_gradient(classifier, x, y, loss)[1]


def _largest(classifier, loss, x, y):
    """The largest entry of each example's gradient, [N]; NaN where an entry is NaN."""
    gradient = np.abs(_gradient(classifier, loss, x, y))
    return gradient.reshape(len(gradient), -1).max(1)


def masking_in_table(
    wrong: Mapping[tuple[str, str, float], np.ndarray], names: Mapping[str, str] | None = None
) -> list[Finding]:
    """Checks a table of results for signs of masked gradients.

    Args:
      wrong: (defense, attack, eta) -> bool [N], the examples that the defense misclassifies.
      names: attack -> its name in `mmtf.attacks.ATTACKS`, with `@<source>` if it is transferred;
        None: the attacks have these names.

    Returns:
      The signs found, an empty list if there are none.
    """
    known = {key[1]: key[1] for key in wrong} | dict(names or {})
    findings = []
    for defense in dict.fromkeys(key[0] for key in wrong):
        own = {key[1:]: value for key, value in wrong.items() if key[0] == defense}
        for eta in sorted({eta for _, eta in own}):
            here = {attack: value for (attack, at), value in own.items() if at == eta}
            white = [value for name, value in here.items() if known[name] in ITERATED]
            strong = white + [value for name, value in here.items() if known[name] in ENSEMBLES]
            black_box = [name for name in here if _is_black_box(known[name])]
            others = [name for name in here if known[name] in SINGLE_STEP or name in black_box]
            for name in others:
                # All iterated attacks together: a single weak one must not raise the sign.
                rivals = white if known[name] in BLACK_BOX else strong
                if not rivals:
                    continue
                a, b = here[name], np.logical_or.reduce(rivals)
                if _beats(a, b):
                    value = f"{name} {np.mean(a):.4f} > {np.mean(b):.4f} at eta {eta:g}"
                    check = "black_box_wins" if name in black_box else "single_step_wins"
                    findings.append(Finding(defense, check, value))
        for attack in dict.fromkeys(attack for attack, _ in own if "@" not in known[attack]):
            etas = sorted(eta for name, eta in own if name == attack)
            for small, large in zip(etas, etas[1:], strict=False):
                a, b = own[attack, small], own[attack, large]
                if _beats(a, b):
                    value = f"{attack} {np.mean(a):.4f} at {small:g}, {np.mean(b):.4f} at {large:g}"
                    findings.append(Finding(defense, "larger_eta_weaker", value))
    return findings


def _logits(classifier: Classifier, x):
    return classifier(x, training=False)


def _beats(a, b):
    """Whether `a` breaks significantly more examples than `b`, by McNemar's test."""
    return np.mean(a) > np.mean(b) and mcnemar(a, b) < LEVEL


def _is_black_box(name):
    return name in BLACK_BOX or "@" in name
