"""Measures MagNet, its classifier and other classifiers under gray-box and adaptive attacks."""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.attacks.selective import Selective
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.guarded import Guarded
from mmtf.data.dataset import Dataset
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier
from mmtf.evaluation.results import Result
from mmtf.evaluation.verdict import accepted
from mmtf.magnet.pack import Pack, judged
from mmtf.stats.intervals import wilson
from mmtf.storage import cache
from mmtf.storage.batch_cache import BatchCache
from mmtf.storage.digest import sha256
from mmtf.threat import ThreatModel
from mmtf.training.progress import Progress

CLASSIFIER = "classifier"
SELECTIVE = "selective"
# Of the transfer between packs: the attacker's images stay this far below all of the attacker's
# own thresholds, relative to them, because the defender's differ.
CLEARANCE = 0.3


@dataclasses.dataclass(frozen=True)
class Strength:
    """How long attacks run.

    Attributes:
      pgd_steps, pgd_restarts: of PGD.
      selective_steps: of the selective attack.
    """

    pgd_steps: int = 40
    pgd_restarts: int = 2
    selective_steps: int = 300


def columns(
    threat: ThreatModel, strength: Strength, base: Classifier | None = None
) -> dict[str, Any]:
    """The attacks on one classifier, by the name of their column.

    Args:
      threat: the ball and the box.
      strength: of the attacks.
      base: the classifier inside a guarded one. The single-step attack and PGD are then also
        crafted on it alone, without early stopping: the gray box, `<attack>@classifier`.
    """
    step = next(one for one in ("fgsm", "fgm") if threat.norm in ATTACKS[one].norms)
    pgd = {"steps": strength.pgd_steps, "restarts": strength.pgd_restarts}
    sources = {} if base is None else {CLASSIFIER: base}
    made = make_attacks({"none": {}, step: {}, "pgd": pgd}, threat, sources=sources)
    return {**made, SELECTIVE: Selective(threat, steps=strength.selective_steps)}


def measure_classifiers(
    classifiers: Mapping[str, Classifier],
    dataset: Dataset,
    threat: ThreatModel,
    strength: Strength,
    options: EvalOptions,
) -> list[Result]:
    """Measures each classifier under its columns and the worst case over them.

    Args:
      classifiers: name -> classifier; a Guarded one also has the columns of the gray box.
      dataset: its test split is measured.
      threat, strength: see `columns`.
      options: of the evaluation.
    """
    found = []
    for name, classifier in classifiers.items():
        base = classifier.base if isinstance(classifier, Guarded) else None
        row = attack_classifier(classifier, columns(threat, strength, base), dataset, options)
        found += [dataclasses.replace(one, defense=name) for one in row]
    return found


def false_positives(guarded: Classifier, dataset: Dataset, count: int = 0) -> dict[str, Any]:
    """The share of unperturbed test images that are rejected, with Wilson's 95 % interval.

    Args:
      guarded: a classifier that rejects.
      dataset: its test split.
      count: number of images, the first ones; 0 for all.

    Returns:
      rate, ci_low, ci_high, n, and rejected, the number of images; plain JSON data.
    """
    passed = accepted(guarded, dataset.test_inputs(count)[0])
    rejected = 0 if passed is None else int((~passed).sum())
    n = len(dataset.test_labels[: count or None])
    low, high = wilson(rejected, n)
    return {"rate": rejected / n, "ci_low": low, "ci_high": high, "n": n, "rejected": rejected}


def measure_pack(
    defender: Pack,
    attacker: Pack,
    dataset: Dataset,
    threat: ThreatModel,
    strength: Strength,
    options: EvalOptions,
) -> list[Result]:
    """Measures a pack under the gray box and under the transfer from the attacker's own pack.

    Args:
      defender: its members are drawn after the attack.
      attacker: trained on the same data with another seed.
      dataset, threat, strength, options: see `measure_classifiers`.
    """
    strongest = Selective(
        threat, steps=strength.selective_steps, clearance=CLEARANCE, stop_early=False
    )
    gray = columns(threat, strength, defender.base)
    attacks: dict[str, Attack] = {name: gray[name] for name in ("none", f"pgd@{CLASSIFIER}")}
    attacks[f"{SELECTIVE}@{attacker.name}"] = Transfer(attacker, strongest)
    x, y = dataset.test(options.max_examples)
    return [_judged(defender, name, attack, x, y, options) for name, attack in attacks.items()]


def _judged(
    pack: Pack, name: str, attack: Attack, x: np.ndarray, y: np.ndarray, options: EvalOptions
) -> Result:
    inner, source = attack, ""
    if isinstance(attack, Transfer):
        inner, source = attack.attack, attack.source.fingerprint
    key = [name, pack.fingerprint, source, repr(inner), sha256(x, y), options.seed]
    entry = cache.entry(options.cache_dir, [*key, options.batch_size], "")
    kept = None if entry.path is None else BatchCache(entry.path)
    bar = Progress(len(x), label=f"{pack.name}  {name}", unit="image") if options.progress else None
    given: dict[str, Any] = {"seed": options.seed, "batch_size": options.batch_size}
    began = time.monotonic()
    try:
        found = judged(pack, attack, x, y, name=name, **given, kept=kept, progress=bar)
    finally:
        if bar is not None:
            bar.close()
    return dataclasses.replace(found, seconds=time.monotonic() - began)
