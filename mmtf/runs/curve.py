"""The attacks of a run's final table, and its curve of test error during training."""

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
from mmtf.reports import write_json
from mmtf.runs.reading import read_curve
from mmtf.runs.union import attackers_of, union_attacks
from mmtf.runs.workdir import Workdir
from mmtf.threat import ThreatModel
from mmtf.training.logs import Logs

CURVE_EXAMPLES = 500
# Columns named as the attack; all others end in `_curr`: recomputed against the row's classifier.
AS_NAMED = ("none", MET)


def attacks_of(
    config: RunConfig, attacker: keras.Model | None = None, cache_dir: str | None = None
) -> dict[str, Attack | FittedAttack]:
    """Builds the attacks of the final table.

    Args:
      config: the run's configuration.
      attacker: the attack network that the game trained; needed for `attnet_met`.
      cache_dir: folder in which newly trained attack networks are saved; None saves none.

    Returns:
      Column name (`none`, `fgsm_curr`, `pgd_curr`) -> attack.
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
    """Returns the recipes of `attnet` and `attnet_paper`, in the run's training precision."""
    paper = ATTNET_PAPER if config.schedule_name == "paper" else ATTNET_PAPER_FAST
    recipes = {"attnet": ATTNET, "attnet_paper": paper}
    return {
        name: dataclasses.replace(recipe, precision=config.precision)
        for name, recipe in recipes.items()
    }


class Curve:
    """Measures test error during training on a fixed part of the test split (Figure 1).

    For monitoring only: no checkpoint or hyperparameter is selected by it. The points are saved
    after every measurement and read back when a run resumes.

    Args:
      config: the run's configuration; attacks that must be trained are left out.
      dataset: the first examples of its test split are used.
      workdir: holds curve.json.
      logs: receives each point as TensorBoard scalars.
      precision: in which attacks compute, `float32` or `bfloat16`; errors are always measured in
        float32.
      examples: number of test examples, >= 0; 0 for all.

    Attributes:
      points: one dict for each measurement: `step`, `n` and the error (0 to 1) of each attack.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        workdir: Workdir,
        logs: Logs,
        precision: str = "float32",
        examples: int = CURVE_EXAMPLES,
    ):
        self._x, self._y = dataset.test(min(examples, len(dataset.test_images)))
        names = tuple(name for name in config.attacks if name not in NETWORK_ATTACKS)
        quick = dataclasses.replace(
            config, attacks=names or ("none",), pgd_steps=10, pgd_restarts=1
        )
        # A FittedAttack would have to be trained at every point.
        self._attacks = {
            name: attack for name, attack in attacks_of(quick).items() if isinstance(attack, Attack)
        }
        self._config = quick
        self._precision = precision
        self._networks: dict[str, keras.Model] = {}
        self._of_networks: dict[str, Attack] = {}
        self._path = workdir.curve_path
        self._logs = logs
        self.points = _points(self._path)

    def add(self, players: Players, step: int) -> None:
        """Measures the classifier at `step`, also under the attack networks in training."""
        classifier = players.classifier
        attacks = {**self._attacks, **self._of_players(players)}
        point: dict[str, float] = {"step": step, "n": len(self._x)}
        for name, attack in attacks.items():
            found = measure(
                classifier, attack, self._x, self._y, name=name, precision=self._precision
            )
            point[name] = found.error
        self.points = [old for old in self.points if old["step"] < step] + [point]
        write_json(self._path, self.points)
        errors = {f"test_error/{name}": point[name] for name in attacks}
        self._logs.scalars(step, errors)

    def _of_players(self, players: Players) -> dict[str, Attack]:
        """The attacks of the game's own attackers, kept: they are compiled once."""
        networks = attackers_of(players)
        if not self._of_networks or networks != self._networks:
            self._networks = networks
            self._of_networks = dict(union_attacks(self._config, networks))
            if "attacker" in networks:
                threat = ThreatModel(eta=self._config.eta, norm=self._config.norm)
                self._of_networks[MET] = LearnedAttack(threat, networks["attacker"])
        return self._of_networks


def _points(path: str) -> list[dict[str, float]]:
    if not os.path.exists(path):
        return []
    try:
        return read_curve(path)
    except ValueError as error:
        print(f"WARNING: {error} The curve starts again at the current step.")
        return []
