"""Payoff matrices: defenses x attacks x radii, cell by cell, kept as they are finished."""

import dataclasses
import hashlib
import os
import time
from collections.abc import Sequence

import numpy as np

from mmtf.attacks.base import Attack
from mmtf.attacks.eot import mean_of
from mmtf.classifiers.loading import (
    SCALE_EXAMPLES,
    Defense,
    admit,
    attack_precision,
    digest_of,
    require_keras,
)
from mmtf.data.dataset import Dataset
from mmtf.evaluation.attack_specs import columns_of, identity_of
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.gradient_masking import Sign, check_defense, check_table
from mmtf.evaluation.minimal_perturbation import smallest_broken
from mmtf.evaluation.runner import BrokenConstraint, misclassified, perturb
from mmtf.stats.intervals import wilson
from mmtf.stats.paired import comparisons
from mmtf.storage.batch_cache import BatchCache
from mmtf.storage.files import UNREADABLE, write_atomically
from mmtf.storage.provenance import source_digest
from mmtf.threat import ThreatModel
from mmtf.training.loop import RiskNotFinite
from mmtf.training.progress import Progress

SHOWN = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One defense under one attack at one radius.

    Attributes:
      wrong: bool [N], the examples it gets wrong.
      distance: float64 [N], of the smallest perturbation found that breaks these on the way to the
        attack's image (`smallest_broken`), NaN of the others.
      images: the first adversarial images, float32 [k, H, W, C].
      seconds: of the attack; NaN where an earlier call made a part of it.
    """

    defense: str
    attack: str
    eta: float
    wrong: np.ndarray
    distance: np.ndarray
    images: np.ndarray
    seconds: float

    def to_dict(self) -> dict:
        """What a record holds of it."""
        count, n = int(self.wrong.sum()), len(self.wrong)
        low, high = wilson(count, n)
        found = self.distance[np.isfinite(self.distance)]
        return {
            "defense": self.defense,
            "attack": self.attack,
            "eta": self.eta,
            "error": count / n,
            "ci_low": low,
            "ci_high": high,
            "n": n,
            "median_distance": float(np.median(found)) if len(found) else None,
            "seconds": round(self.seconds, 2) if np.isfinite(self.seconds) else None,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """Attributes:
    cells: every defense x attack x radius, and `worst`, the per-example worst case.
    signs: of masked gradients; they mark the figures they concern.
    comparisons: by radius, McNemar's tests of the defenses under `worst`.
    """

    cells: list[Cell]
    signs: list[Sign]
    comparisons: dict[float, list[dict]]


def payoff_matrix(
    defenses: list[Defense],
    attacks: dict[str, dict],
    dataset: Dataset,
    *,
    etas: list[float],
    norm: str = "linf",
    max_examples: int = 0,
    seed: int = 0,
    cache_dir: str | None = None,
    recipes: dict | None = None,
    sources: Sequence[Defense] = (),
    eot_samples: int = 1,
    precision: str = "float32",
    progress: bool = True,
    say=print,
) -> Matrix:
    """Every attack against every defense at every radius, on the test split, judged in float32.

    Args:
      defenses: refused before anything is measured where they do not fit the dataset.
      attacks: name of `ATTACKS` or of `recipes`, or `universal` -> its options.
      dataset: its test split is used.
      etas: radii, > 0.
      norm: of the balls.
      max_examples: the first so many test examples, 0 for all.
      seed: of random starts.
      cache_dir: finished cells, and finished blocks of the one at work, are kept there and read
        back by the same call; None: not kept.
      recipes: AttNetRecipes by name, for attack networks trained against each defense.
      sources, eot_samples: see `mmtf.evaluation.attack_specs.columns_of`.
      precision: of the attacks, see `attack_precision` and `perturb`.
      progress: show how far each cell is, on stderr.
      say: takes a line for every cell.

    Raises:
      ConfigError: a defense that does not fit, an attack without this norm.

    An attack that leaves its ball or the box, meets NaN, or is a network whose training does, is
    left out of the defense's row, and a sign says so.
    """
    precision = attack_precision(precision, defenses)
    x, y = dataset.test(max_examples)
    threats = {eta: ThreatModel(eta=eta, norm=norm) for eta in etas}
    threats[etas[0]].require_images(dataset.test(SCALE_EXAMPLES)[0])
    made = {
        eta: columns_of(
            attacks,
            threat,
            recipes=recipes or {},
            sources=sources,
            eot_samples=eot_samples,
            seed=seed,
            cache_dir=cache_dir,
        )
        for eta, threat in threats.items()
    }
    for source in sources:
        admit(source, dataset)
    for defense in defenses:
        admit(defense, dataset)
        if set(recipes or {}) & set(attacks):
            require_keras(defense, "attack networks, which are trained against it")
        for attack in made[etas[0]].values():
            if isinstance(attack, Attack):
                attack.supports(defense.classifier, x[:1])
    signs, cells, clean = [], [], {}
    data = _digest(x, y)
    for defense in defenses:
        attacked = mean_of(defense.classifier, eot_samples) if eot_samples > 1 else None
        threat = threats[max(etas)]
        signs += check_defense(defense.name, defense.classifier, x, y, threat, seed, attacked)
        clean[defense.name] = misclassified(defense.classifier, x, y)
        digest = digest_of(defense.classifier)
        for eta in etas:
            here = []
            for name, attack in made[eta].items():
                key = [digest, identity_of(attack), data, seed, source_digest()]
                key += [precision] if precision != "float32" else []
                if isinstance(attack, FittedAttack):
                    key.append(dataset.training_digest)
                path = cache_dir and os.path.join(cache_dir, f"{_hash(key)}.npz")
                cell = _kept(path, defense.name, name, eta)
                if cell is None:
                    blocks = BatchCache(path.removesuffix(".npz")) if path else {}
                    given = (dataset, threats[eta], x, y, seed, precision, blocks, progress)
                    try:
                        cell = _measure(defense, name, attack, *given)
                    except (BrokenConstraint, RiskNotFinite) as error:
                        why = str(error)
                        if isinstance(error, RiskNotFinite):  # of a network fitted to the defense
                            why = "its training met a risk that is not finite"
                        signs.append(Sign(defense.name, "broken_attack", f"{name}: {why}"))
                        say(f"{defense.name}  eta {eta:g}  {name}: left out, {why}")
                        blocks.clear()
                        continue
                    _keep(path, cell)
                    blocks.clear()
                here.append(cell)
                say(f"{defense.name}  eta {eta:g}  {name}: error {cell.wrong.mean():.4f}")
            cells += [*here, _worst(defense.name, eta, here, clean[defense.name], x)]
    table = {(one.defense, one.attack, one.eta): one.wrong for one in cells}
    signs += check_table({key: wrong for key, wrong in table.items() if key[1] != "worst"})
    tests = {eta: comparisons(_over_common_attacks(table, clean, eta)) for eta in etas}
    return Matrix(cells, signs, tests)


def _measure(defense, name, attack, dataset, threat, x, y, seed, precision, blocks, progress):
    began, resumed = time.monotonic(), len(blocks) > 0
    if isinstance(attack, FittedAttack):
        resumed |= attack.is_kept(defense.classifier, dataset)
        attack = attack.fit(defense.classifier, dataset)
    label = f"{defense.name}  eta {threat.eta:g}  {name}"
    bar = Progress(len(x), label=label, unit="image", last=False) if progress else None
    try:
        given = {"seed": seed, "precision": precision, "kept": blocks, "progress": bar}
        z = perturb(defense.classifier, attack, x, y, **given)
    finally:
        if bar is not None:
            bar.close()
    wrong = misclassified(defense.classifier, z, y)
    seconds = float("nan") if resumed else time.monotonic() - began
    distance = smallest_broken(defense.classifier, x, z, y, wrong, threat)
    return Cell(defense.name, name, threat.eta, wrong, distance, z[:SHOWN], seconds)


def _worst(defense, eta, cells, clean, x):
    """The per-example worst case, the image itself included, which lies in every ball.

    Of each example the smallest of the perturbations found.
    """
    distance = np.fmin.reduce([np.where(clean, 0.0, np.nan), *(cell.distance for cell in cells)])
    wrong = np.logical_or.reduce([clean, *(cell.wrong for cell in cells)])
    seconds = sum(cell.seconds for cell in cells)
    return Cell(defense, "worst", eta, wrong, distance, x[:0], seconds)


def _over_common_attacks(table, clean, eta) -> dict[str, np.ndarray]:
    """Per defense, the per-example worst case over the attacks that none of them lacks."""
    have = {
        defense: {attack for name, attack, radius in table if (name, radius) == (defense, eta)}
        for defense in clean
    }
    common = sorted(set.intersection(*have.values()) - {"worst"})
    return {
        defense: np.logical_or.reduce(
            [clean[defense], *(table[defense, attack, eta] for attack in common)]
        )
        for defense in clean
    }


def _digest(*arrays) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _hash(key) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:24]


def _kept(path, defense, attack, eta) -> Cell | None:
    if path is None or not os.path.exists(path):
        return None
    try:
        with np.load(path) as kept:
            arrays = (kept["wrong"], kept["distance"], kept["images"])
            return Cell(defense, attack, eta, *arrays, float(kept["seconds"]))
    except UNREADABLE as error:
        print(f"WARNING: {path} cannot be read ({error}): its cell is measured again.")
        return None


def _keep(path, cell) -> None:
    if path is None:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_atomically(
        path,
        lambda temporary: np.savez_compressed(
            temporary,
            wrong=cell.wrong,
            distance=cell.distance,
            images=cell.images,
            seconds=cell.seconds,
        ),
    )
