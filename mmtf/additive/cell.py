"""Measures the game of one pair of classes at one pair of radii: everything of a record's cell."""

import dataclasses
import time
from typing import Any

import numpy as np

from mmtf.additive.attacks import ADAPTS, BOX_ONLY, BOXES, Attacker, fgm
from mmtf.additive.defenses import DEFENSES, Defense, draw_defense
from mmtf.additive.game import AdditiveGame, Solved, spread_of
from mmtf.additive.linearized import LABELS, Linearized
from mmtf.additive.pairs import Pair
from mmtf.additive.utility import between_boundaries, linearity, rate, true_right, utilities
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_choice, require_int, require_names, require_seed
from mmtf.solvers.feasible_exact import exact_by_program

SIZES = (100, 200, 500, 1000, 2000, 4000)
SMALL, SMALL_SECONDS = 12, 5.0
SMOOTH_DRAWS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a cell is measured.

    Attributes:
      attacks: names of `mmtf.additive.attacks.ADAPTS`.
      defenses: names of `mmtf.additive.defenses.DEFENSES`.
      label: `truth` or `prediction`, see `AdditiveGame`.
      train_examples: training images of the game, the first of the pair, > 0.
      test_examples: test images, the first of the pair, > 0.
      strongest_examples: of these, the first that AutoAttack gets, > 0.
      search_steps: steps of each search, > 0.
      pgd_steps: steps of PGD, > 0.
      draws: of a random defense in the mean that adapted attacks see, > 0.
      queries: of Square in AutoAttack, > 0.
      seed: of searches, draws and attacks.
    """

    attacks: tuple[str, ...] = ("none", "fgm", "pgd", "pgd_adapted", "autoattack")
    defenses: tuple[str, ...] = ("none", "smooth", "best_vector", "random", "gaussian")
    label: str = "truth"
    train_examples: int = 4000
    test_examples: int = 1000
    strongest_examples: int = 200
    search_steps: int = 200
    pgd_steps: int = 40
    draws: int = 4
    queries: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("attacks", ADAPTS), ("defenses", DEFENSES)):
            require_names(name, getattr(self, name))
            for one in getattr(self, name):
                require_choice(name, one, known)
        require_choice("label", self.label, LABELS)
        for field in dataclasses.fields(self):
            if field.type in (int, "int") and field.name != "seed":
                require_int(field.name, getattr(self, field.name))
        require_seed(self.seed)


def measure(
    classifier: Classifier, pair: Pair, eta_attack: float, eta_defense: float, settings: Settings
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Solves the game on training images and measures attacks and defenses on test images.

    Args:
      classifier: of the pair's two classes.
      pair: the images.
      eta_attack, eta_defense: radii in l2 for pixels in [-1, 1].
      settings: what is measured.

    Returns:
      The cell as plain JSON data; v*, float32 [H, W, C]; and draws of SMOOTH, [k, H, W, C], with
      k = 1, v* alone, where `smooth` is not among the defenses.
    """
    watch = _Watch()
    game = AdditiveGame(classifier, eta_attack, eta_defense, label=settings.label)
    parts = {
        "train": (pair.x_train[: settings.train_examples], pair.y_train),
        "test": (pair.x_test[: settings.test_examples], pair.y_test),
    }
    seen = {name: game.linearize(x, y[: len(x)]) for name, (x, y) in parts.items()}
    watch.lap("linearize")
    solved = game.solve_linearized(seen["train"], settings.seed, steps=settings.search_steps)
    watch.lap("search")
    defenses, smooth = _defenses(solved, settings, len(seen["test"].signs))
    watch.lap("smooth")
    x, test = parts["test"][0], seen["test"]
    cells = _matrix(classifier, x, test, eta_attack, defenses, settings, watch)
    zero, best = np.zeros_like(x), np.broadcast_to(solved.vector, x.shape)
    step = fgm(test, eta_attack)
    cell = {
        "pair": pair.name,
        "eta_attack": eta_attack,
        "eta_defense": eta_defense,
        "train_n": len(seen["train"].signs),
        "test_n": len(x),
        "clean": rate(~true_right(classifier, x, test.signs, zero)),
        "objective": _objective(solved, game, test),
        "smooth": smooth,
        "cells": cells,
        "linearity": {
            "none": linearity(classifier, x, test, step),
            "best_vector": linearity(classifier, x, test, step + best),
        },
        "between_boundaries": between_boundaries(classifier, x, test, eta_attack),
        "zero_gradients": int((test.scales == 0).sum()),
    }
    watch.lap("linearity")
    cell["by_n"] = _by_n(game, seen, solved, settings)
    watch.lap("by_n")
    cell["small"] = _small(game, seen["train"], settings)
    watch.lap("exact")
    cell["seconds"] = watch.laps
    cell["cpu_seconds"] = round(time.process_time() - watch.cpu, 2)
    drawn = next((one.vectors for one in defenses if one.name == "smooth"), solved.vector[None])
    return cell, solved.vector, drawn


class _Watch:
    def __init__(self):
        self.laps: dict[str, float] = {}
        self._at, self.cpu = time.monotonic(), time.process_time()

    def lap(self, name):
        now = time.monotonic()
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._at, 2)
        self._at = now


def _objective(solved: Solved, game: AdditiveGame, test: Linearized) -> dict[str, Any]:
    vector = solved.vector.ravel()
    system = game.half_spaces(test)
    low, high = solved.value
    return {
        "at_zero": solved.at_zero,
        **{name: found.satisfied / solved.n for name, found in solved.found.items()},
        **{f"{name}_starts": found.counts.tolist() for name, found in solved.found.items()},
        "best": solved.best,
        "refined": solved.objective,
        "value": [low, high],
        "test_at_zero": system.count(np.zeros(len(vector))) / len(test.signs),
        "test": system.count(vector) / len(test.signs),
        "length": float(np.linalg.norm(vector)) / game.eta_defense,
        "zero_is_best": solved.zero_is_best,
    }


def _defenses(solved, settings, n) -> tuple[list[Defense], dict[str, Any] | None]:
    made, smooth = [], None
    for name in settings.defenses:
        if name == "smooth":
            draws = solved.draws(SMOOTH_DRAWS)
            vectors = draws.vectors.reshape(-1, *solved.shape).astype(np.float32)
            made.append(Defense(name, vectors, solved.vector))
            smooth = {
                **spread_of(vectors, solved.system.radius)._asdict(),
                "chord_ratio": draws.chord_ratio,
                "r_hat": draws.r_hat,
                "dimension": draws.dimension,
                "draws": len(vectors),
            }
        else:
            made.append(draw_defense(name, solved, n=n, seed=settings.seed))
    return made, smooth


def _matrix(classifier, x, test, eta, defenses, settings, watch) -> list[dict[str, Any]]:
    attacker = Attacker(
        classifier,
        x,
        test,
        eta,
        seed=settings.seed,
        steps=settings.pgd_steps,
        draws=settings.draws,
        queries=settings.queries,
        strongest=settings.strongest_examples,
    )
    cells = []
    for name in settings.attacks:
        for box in BOXES:
            if (name in BOX_ONLY and not box) or (name == "none" and box):
                continue
            for defense in defenses:
                v = attacker.perturbation(name, defense, box=box)
                n = len(v)
                found = utilities(classifier, x[:n], test.select(slice(n)), v, defense.added(n))
                cells.append({"attack": name, "defense": defense.name, "box": box, **found})
        watch.lap(name)
    return cells


def _by_n(game, seen, whole, settings) -> list[dict[str, Any]]:
    """phi on the training images of the search and on the test images, by their number."""
    rows = []
    system = game.half_spaces(seen["test"])
    most = whole.n
    for n in sorted({min(size, most) for size in SIZES}):
        solved = whole
        if n < most:
            own = seen["train"].select(slice(n))
            solved = game.solve_linearized(own, settings.seed, steps=settings.search_steps)
        test = system.count(solved.vector.ravel()) / len(seen["test"].signs)
        rows.append({"n": n, "train": solved.objective, "test": test})
    return rows


def _small(game, images, settings) -> dict[str, Any]:
    """The search beside the integer program on the first images."""
    own = images.select(slice(SMALL))
    solved = game.solve_linearized(own, settings.seed, steps=settings.search_steps)
    exact = exact_by_program(solved.system, start=solved.refined.vector, seconds=SMALL_SECONDS)
    return {
        "n": solved.n,
        "search": solved.refined.satisfied,
        "exact": exact.satisfied,
        "bound": exact.bound,
    }
