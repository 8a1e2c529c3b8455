"""The attacks that a run's config names, and the test error against step that it watches."""

import dataclasses
import os

from mmtf.attacks import ATTACKS, NETWORK_ATTACKS
from mmtf.attacks.attack_network import LearnedAttack
from mmtf.attacks.base import Attack
from mmtf.config import RunConfig
from mmtf.data import Dataset
from mmtf.errors import require
from mmtf.evaluation.best_response import ATTNET, ATTNET_PAPER, ATTNET_PAPER_FAST, FittedAttNet
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.runner import measure
from mmtf.reports import read_json, write_json
from mmtf.runs.workdir import Workdir
from mmtf.threat import ThreatModel
from mmtf.training.logs import Logs

CURVE_EXAMPLES = 500


def make_attacks(config: RunConfig, attacker=None, cache_dir: str | None = None) -> dict:
    """The attacks of the final table by column name: `none`, `fgsm_curr`, ...

    Args:
      config: of the run.
      attacker: the attack network that the game trained, for `attnet_met`.
      cache_dir: where freshly trained attack networks are kept.
    """
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    options = {"pgd": {"steps": config.pgd_steps, "restarts": config.pgd_restarts}}
    recipes = network_recipes(config)
    attacks: dict[str, Attack | FittedAttack] = {}
    for name in config.attacks:
        if name == "attnet_met":
            require(attacker is not None, "a game that trains an attacker", config.game)
            attacks[name] = LearnedAttack(threat, attacker)
        elif name in recipes:
            attacks[f"{name}_curr"] = FittedAttNet(
                threat, recipes[name], seed=config.seed, cache_dir=cache_dir
            )
        else:
            column = name if name == "none" else f"{name}_curr"
            attacks[column] = ATTACKS[name](threat, **options.get(name, {}))
    return attacks


def network_recipes(config: RunConfig) -> dict:
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
        self._attacks = make_attacks(quick)
        self._threat = ThreatModel(eta=config.eta, norm=config.norm)
        self._met: LearnedAttack | None = None
        self._path = workdir.curve_path
        self._logs = logs
        self.points = _points(self._path)

    def add(self, players, step: int) -> None:
        """Measures the classifier at `step`, an attacker in training included."""
        classifier, attacks = players.models["classifier"], dict(self._attacks)
        if "attacker" in players.models:
            attacker = players.models["attacker"]
            if self._met is None or self._met.network is not attacker:
                self._met = LearnedAttack(self._threat, attacker)  # compiled once
            attacks["attnet_met"] = self._met
        point: dict[str, float] = {"step": step, "n": len(self._x)}
        for name, attack in attacks.items():
            point[name] = measure(classifier, attack, self._x, self._y, name=name).error
        self.points = [old for old in self.points if old["step"] < step] + [point]
        write_json(self._path, self.points)
        errors = {f"test_error/{name}": point[name] for name in attacks}
        self._logs.scalars(step, errors)


def _points(path) -> list[dict]:
    if not os.path.exists(path):
        return []
    try:
        return read_json(path)
    except ValueError as error:
        print(f"WARNING: {error} Its points are measured again from here on.")
        return []
