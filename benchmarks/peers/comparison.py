"""Compares mmtf's attacks with those of ART, Foolbox and the original AutoAttack, on equal weights.

A new comparison is one entry of COMPARISONS. `compare` makes its row for one classifier.
"""

import copy
import dataclasses
import functools
import importlib.metadata
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.peers import art_attacks, foolbox_attacks, original_attacks
from benchmarks.peers.subject import Settings, Subject
from benchmarks.peers.torch_copy import nchw, nhwc
from mmtf.attacks import ATTACKS
from mmtf.attacks.queries import input_gradient
from mmtf.classifiers.classifier import as_classifier
from mmtf.evaluation.runner import perturb
from mmtf.evaluation.verdict import misclassified
from mmtf.runtime.devices import full_float32
from mmtf.threat import ThreatModel

# Peer -> (distribution from which its version is read, module of its attacks).
PEERS = {
    "ART": ("adversarial-robustness-toolbox", art_attacks),
    "Foolbox": ("foolbox", foolbox_attacks),
    "AutoAttack": ("pyautoattack", original_attacks),
}
# A ball larger than the box, so that minimal-perturbation attacks are not limited by it.
EVERYWHERE = 1e3
# Pixels that differ by at most SAME count as equal. A gradient's sign is uncertain below DOUBT
# times the largest rounding error of its image, as another order of sums may have a larger error.
SAME, DOUBT = 1e-5, 4.0
# Numbers of runs with different random starts: results of Square vary by two or three images.
SEEDS, SQUARE_SEEDS = 3, 10


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One attack of mmtf and the same attack of its peers.

    Attributes:
      title: title in tables.
      norm: `linf` or `l2`.
      ours: its name in ATTACKS.
      options: settings -> the attack's keyword arguments.
      peers: peer -> name of the function in its module.
      nearest: whether the attack minimizes the perturbation: it then runs without a ball, succeeds
        where the perturbation is within eta, and its distances are compared too.
      seeds: number of runs with different random starts that are averaged, because single runs
        vary by an image or more.
    """

    title: str
    norm: str
    ours: str
    options: Callable[[Settings], dict]
    peers: dict[str, str]
    nearest: bool = False
    seeds: int = 1


def _steps(s):
    return {"steps": s.steps}


def _targets(s):
    return {"steps": s.steps, "targets": s.targets}


def _cw(s):
    return {
        "steps": s.cw_steps,
        "searches": s.cw_searches,
        "learning_rate": s.cw_rate,
        "initial_c": s.cw_first,
    }


def _all(s):
    return {"steps": s.steps, "targets": s.targets, "queries": s.queries}


def _both(name, *peers):
    return dict.fromkeys(peers, name)


def _of_norm(norm):
    dlr = {"loss": "dlr"}
    yield Comparison(
        "PGD",
        norm,
        "pgd",
        lambda s: {"steps": s.pgd_steps},
        _both("pgd", "ART", "Foolbox"),
        seeds=SEEDS,
    )
    yield Comparison(
        "APGD-CE", norm, "apgd", _steps, _both("apgd_ce", "ART", "AutoAttack"), seeds=SEEDS
    )
    yield Comparison(
        "APGD-DLR",
        norm,
        "apgd",
        lambda s: _steps(s) | dlr,
        _both("apgd_dlr", "ART", "AutoAttack"),
        seeds=SEEDS,
    )
    yield Comparison(
        "APGD-T", norm, "apgd_targeted", _targets, _both("apgd_targeted", "AutoAttack")
    )
    yield Comparison("FAB-T", norm, "fab", _targets, _both("fab", "AutoAttack"))
    yield Comparison(
        "Square",
        norm,
        "square",
        lambda s: {"steps": s.queries},
        _both("square", "ART", "AutoAttack"),
        seeds=SQUARE_SEEDS,
    )


COMPARISONS = (
    Comparison("FGSM", "linf", "fgsm", lambda s: {}, _both("fgsm", "ART", "Foolbox")),
    *_of_norm("linf"),
    Comparison(
        "DeepFool",
        "linf",
        "deepfool",
        lambda s: {"steps": s.deepfool_steps},
        _both("deepfool", "Foolbox"),
        nearest=True,
    ),
    Comparison("AutoAttack", "linf", "autoattack", _all, _both("autoattack", "AutoAttack")),
    *_of_norm("l2"),
    Comparison(
        "DeepFool",
        "l2",
        "deepfool",
        lambda s: {"steps": s.deepfool_steps},
        _both("deepfool", "ART", "Foolbox"),
        nearest=True,
    ),
    Comparison("C&W", "l2", "carlini_wagner", _cw, _both("carlini_wagner", "ART", "Foolbox"), True),
    Comparison("AutoAttack", "l2", "autoattack", _all, _both("autoattack", "AutoAttack")),
)


def compare(
    subject: Subject, x: Any, y: Any, comparison: Comparison, eta: float, settings: Settings
) -> dict:
    """Measures the errors of mmtf's attack and of every peer's on the same images.

    An attack succeeds on an example if the image that it returns is within the ball and the box in
    float64 and is misclassified; for a peer, by the Keras model or by its PyTorch copy. Every
    attack succeeds on examples whose clean image is misclassified. Errors and counts are means over
    the comparison's seeds, seconds are those of one run; `gain_se` is the standard error of the
    mean of (successes of mmtf - successes of the peer).

    Returns:
      A row of the record, of JSON types.
    """
    threat = ThreatModel(eta=eta, norm=comparison.norm)
    free = ThreatModel(eta=EVERYWHERE, norm=comparison.norm) if comparison.nearest else threat
    options = comparison.options(settings)
    attack = ATTACKS[comparison.ours](free, **options)
    unmoved = misclassified(subject.classifier, x, y)

    def judged(z, errs):
        """Returns (mask of successes, further entries of the record) of one run."""
        broken = unmoved | (errs & ~threat.violations(z, x))
        return broken, _distances(threat, z, x, errs & ~unmoved) if comparison.nearest else {}

    def run_ours(seed):
        z = perturb(subject.classifier, attack, x, y, seed=seed)
        return z, misclassified(subject.classifier, z, y)

    def run_theirs(function, seed):
        own = dataclasses.replace(subject, seed=seed)
        with full_float32(), as_classifier(subject.classifier).computing():
            z = np.asarray(function(own, x, y, threat, settings))
        return z, misclassified(subject.classifier, z, y) | subject.copy_errs(z, y)

    seeds = [subject.seed + number for number in range(comparison.seeds)]
    runs, seconds = _timed(run_ours, seeds)
    ours = [judged(*run) for run in runs]
    row = {
        "attack": comparison.title,
        "norm": comparison.norm,
        "eta": eta,
        "iterations": options,
        "n": len(x),
        "seeds": len(seeds),
        "clean": _share(unmoved),
        "ours": {"error": _error(ours), "seconds": seconds, **ours[0][1]},
        "peers": [],
    }
    for peer, name in comparison.peers.items():
        distribution, module = PEERS[peer]
        their_runs, seconds = _timed(functools.partial(run_theirs, getattr(module, name)), seeds)
        theirs = [judged(*run) for run in their_runs]
        pairs = [(a[0], b[0]) for a, b in zip(ours, theirs, strict=True)]
        cell = {
            "peer": peer,
            "version": importlib.metadata.version(distribution),
            "error": _error(theirs),
            "seconds": seconds,
            "ours_alone": float(np.mean([(a & ~b).sum() for a, b in pairs])),
            "theirs_alone": float(np.mean([(b & ~a).sum() for a, b in pairs])),
            "gain_se": _standard_error([int(a.sum()) - int(b.sum()) for a, b in pairs]),
            "violations": int(sum(free.violations(z, x).sum() for z, _ in their_runs)),
            **theirs[0][1],
        }
        if comparison.ours == "fgsm":
            cell |= differing_pixels(subject, x, y, runs[0][0], their_runs[0][0])
        row["peers"].append(cell)
    return row


def _standard_error(values):
    """Standard error of the mean; None for one value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _timed(run, seeds):
    """Returns ([run(seed) for each seed], mean seconds of a run)."""
    began = time.monotonic()
    found = [run(seed) for seed in seeds]
    return found, round((time.monotonic() - began) / len(seeds), 1)


def _error(judged):
    return _share([broken for broken, _ in judged])


def shortfall(cell: dict) -> float:
    """Returns on how many fewer images than the peer's mmtf's attack succeeds; negative: more."""
    return cell["theirs_alone"] - cell["ours_alone"]


def differing_pixels(subject: Subject, x: Any, y: Any, ours: Any, theirs: Any) -> dict:
    """Counts pixels in which two FGSM images differ, and those with an uncertain gradient sign.

    Two float32 programs agree on the sign of a gradient only where it is larger than its rounding
    error, which is measured against the gradient in float64.

    Returns:
      A dict. `largest_difference`: over pixels whose sign is certain; `pixels_differing`: those
      that differ by more than 1e-5; `pixels_in_doubt`: those whose gradient is not 0 in float64 and
      smaller than DOUBT times the image's largest float32 error; `pixels_unexplained`: those that
      differ although their sign is certain.
    """
    exact = gradient64(subject, x, y)
    with full_float32(), as_classifier(subject.classifier).computing():
        _, rounded = input_gradient(subject.classifier, x, y)
    axes = (1, 2, 3)
    noise = np.abs(rounded.numpy() - exact).max(axes, keepdims=True)
    doubt = np.abs(exact) <= DOUBT * noise
    difference = np.abs(np.asarray(ours, np.float64) - theirs)
    differs = difference > SAME
    return {
        "largest_difference": float(difference[~doubt].max(initial=0.0)),
        "pixels": int(difference.size),
        "pixels_differing": int(differs.sum()),
        "pixels_in_doubt": int((doubt & (exact != 0)).sum()),
        "pixels_unexplained": int((differs & ~doubt).sum()),
        "images_in_doubt": int(doubt.all(axes).sum()),
    }


def gradient64(subject: Subject, x: Any, y: Any) -> np.ndarray:
    """Returns d cross-entropy_i / d x_i in float64, by the PyTorch copy; NHWC."""
    exact_copy = copy.deepcopy(subject.torch_copy).double()
    images = nchw(np.asarray(x, np.float64)).requires_grad_()
    labels = torch.from_numpy(np.asarray(y, np.int64))
    total = torch.nn.functional.cross_entropy(exact_copy(images), labels, reduction="sum")
    return nhwc(torch.autograd.grad(total, images)[0])


def _distances(threat, z, x, broke):
    """Number and median perturbation size of the images on which an unlimited attack succeeds."""
    sizes = threat.size(np.asarray(z, np.float64) - x)[broke]
    return {
        "broke_at_all": int(broke.sum()),
        "median_distance": float(np.median(sizes)) if len(sizes) else None,
    }


def _share(flags):
    return float(np.mean(flags))
