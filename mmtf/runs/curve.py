"""The attacks that a run's config names, and the test error against step that it watches."""

import dataclasses
import os

import keras

from mmtf.attacks import NETWORK_ATTACKS
from mmtf.attacks.attack_network import LearnedAttack
from mmtf.attacks.base import Attack
from mmtf.config import RunConfig
from mmtf.data import Dataset
from mmtf.evaluation.attack_specs import MET, make_attacks
from mmtf.evaluation.best_response import ATTNET, ATTNET_PAPER, ATTNET_PAPER_FAST, AttNetRecipe
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.runner import measure
from mmtf.games.players import Players
from mmtf.reports import read_json, write_json
from mmtf.runs.workdir import Workdir
from mmtf.threat import ThreatModel
from mmtf.training.logs import Logs

CURVE_EXAMPLES = 500
# Attacks whose column has their name; the others' images are recomputed against the row: `_curr`.
AS_NAMED = ("none", MET)


def attacks_of(
    config: RunConfig, attacker: keras.Model | None = None, cache_dir: str | None = None
) -> dict[str, Attack | FittedAttack]:
    """The attacks of the final table by column name: `none`, `fgsm_curr`, ...

    Args:
      config: of the run.
      attacker: the attack network that the game trained, for `attnet_met`.
      cache_dir: where freshly trained attack networks are kept.
    """
    options = {"pgd": {"steps": config.pgd_steps, "restarts": config.pgd_restarts}}
    made = make_attacks(
        {name: options.get(name, {}) for name in config.attacks},
        ThreatModel(eta=config.eta, norm=config.norm),
        recipes=network_recipes(config),
        attacker=attacker,
        seed=config.seed,
        cache_dir=cache_dir,
    )
    return {name if name in AS_NAMED else f"{name}_curr": attack for name, attack in made.items()}


def network_recipes(config: RunConfig) -> dict[str, AttNetRecipe]:
    """How `attnet` and `attnet_paper` are trained in a run, in the type that it trains in."""
    paper = ATTNET_PAPER if config.schedule_name == "paper" else ATTNET_PAPER_FAST
    recipes = {"attnet": ATTNET, "attnet_paper": paper}
    return {
        name: dataclasses.replace(recipe, precision=config.precision)
        for name, recipe in recipes.items()
    }


class Curve:
    """Test error against step on a fixed part of the test split (Figure 1), for looking only.

    Nothing is chosen by it. Saved after every point, read back when a run resumes.
    """

    def __init__(self, config: RunConfig, dataset: Dataset, workdir: Workdir, logs: Logs):
        self._x, self._y = dataset.test(min(CURVE_EXAMPLES, len(dataset.test_images)))
        names = tuple(name for name in config.attacks if name not in NETWORK_ATTACKS)
        quick = dataclasses.replace(
            config, attacks=names or ("none",), pgd_steps=10, pgd_restarts=1
        )
        # Nothing is fitted: networks are left out.
        self._attacks = {
            name: attack for name, attack in attacks_of(quick).items() if isinstance(attack, Attack)
        }
        self._threat = ThreatModel(eta=config.eta, norm=config.norm)
        self._met: LearnedAttack | None = None
        self._path = workdir.curve_path
        self._logs = logs
        self.points = _points(self._path)

    def add(self, players: Players, step: int) -> None:
        """Measures the classifier at `step`, an attacker in training included."""
        classifier = players.models["classifier"]
        attacks = dict[str, Attack](self._attacks)
        if "attacker" in players.models:
            attacker = players.models["attacker"]
            if self._met is None or self._met.network is not attacker:
                self._met = LearnedAttack(self._threat, attacker)  # compiled once
            attacks[MET] = self._met
        point: dict[str, float] = {"step": step, "n": len(self._x)}
        for name, attack in attacks.items():
            point[name] = measure(classifier, attack, self._x, self._y, name=name).error
        self.points = [old for old in self.points if old["step"] < step] + [point]
        write_json(self._path, self.points)
        errors = {f"test_error/{name}": point[name] for name in attacks}
        self._logs.scalars(step, errors)


def _points(path) -> list[dict[str, float]]:
    if not os.path.exists(path):
        return []
    try:
        return read_json(path)
    except ValueError as error:
        print(f"WARNING: {error} Its points are measured again from here on.")
        return []
