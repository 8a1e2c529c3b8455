"""Measures cells and writes each record as soon as it is known."""

import contextlib
import dataclasses
import os
import time
import traceback
from collections.abc import Callable

import keras

from mmtf.attacks.base import Attack
from mmtf.attacks.single_step import FGSM
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import as_classifier
from mmtf.config import RunConfig
from mmtf.data import load_data
from mmtf.evaluation.admission import validate_logits
from mmtf.evaluation.attack_specs import MET, make_attacks
from mmtf.evaluation.fitted import FittedAttack, as_fitted
from mmtf.evaluation.runner import Result, measure
from mmtf.reports import FORMAT, paper_figure, read_json
from mmtf.runs.curve import network_recipes
from mmtf.runs.rounds import round_path
from mmtf.stats.intervals import wilson
from mmtf.stats.packed_bits import pack
from mmtf.storage.provenance import provenance
from mmtf.threat import ThreatModel
from mmtf.training.loop import Interrupted
from mmtf.training.progress import Progress
from scripts.paper.cells import Cell
from scripts.paper.players import defender, replayed_round
from scripts.paper.records import Results, write_record
from scripts.paper.settings import Settings
from scripts.paper.store import Store, classifier_config, configs_of, is_current, keys_of
from scripts.paper.tables import MEASURED_AS


@dataclasses.dataclass(frozen=True)
class Bench:
    """Settings and folders with which cells are measured.

    Attributes:
      settings: settings of all cells.
      store: the trained runs.
      root: folder of the records.
      again: measure cells that already have a record.
    """

    settings: Settings
    store: Store
    root: str
    again: bool = False

    def config(self, cell: Cell, game: str) -> RunConfig:
        """Returns the configuration of the run of `game` that belongs to the cell."""
        return classifier_config(cell.track, self.settings, game, cell.eta, cell.seed)

    def wanted(self, cells: list[Cell]) -> list[Cell]:
        """Returns the cells that are still to be measured."""
        results = Results(self.root)
        return [
            cell
            for cell in cells
            if self.again or not is_current(cell, self.settings, results.record(cell), self.store)
        ]

    def write(self, cell: Cell, found: dict) -> None:
        """Writes the cell's record: the results `found`, with settings, runs and provenance."""
        about = provenance()
        runs = configs_of(cell, self.settings)
        record = {
            "format": FORMAT,
            "dataset": cell.track.dataset,
            "init": cell.track.init,
            "schedule": cell.track.schedule,
            "eta": cell.eta,
            "defense": cell.defense,
            "attack": cell.attack,
            "seed": cell.seed,
            "reported": reported(cell),
            **found,
            "settings": self.settings.of_attack(cell.attack),
            "rounds": self.settings.rounds,
            "players": keys_of(cell, self.settings),
            "runs": [self.store.fingerprint(run) for run in runs],
            "config": runs[0].to_dict(),
            **{name: about[name] for name in ("versions", "hardware", "environment", "commit")},
        }
        write_record(self.root, cell, record)


def reported(cell: Cell) -> float | None:
    """Returns the paper's error for the cell; its AttNet column is our `attnet_paper_curr`."""
    if cell.attack in MEASURED_AS:
        return None
    column = {measured: name for name, measured in MEASURED_AS.items()}.get(cell.attack)
    return paper_figure(cell.track.dataset, cell.eta, cell.defense, column or cell.attack)


def measure_cells(
    cells: list[Cell], bench: Bench, say: Callable[[str], object] = print
) -> dict[str, str]:
    """Measures cells of one defense at one radius; a failure does not stop the others.

    Args:
      cells: cells of one track, radius, defense and seed.
      bench: settings and folders.
      say: called with a line for every cell.

    Returns:
      attack -> error message, of the cells that failed.
    """
    cells, failed = bench.wanted(cells), {}
    if not cells:
        return failed
    data = load_data(cells[0].track.dataset)
    classifier, training = _defender(cells[0], bench)
    validate_logits(classifier, data.test(100)[0], data.num_classes)
    for cell in cells:
        began = time.monotonic()
        try:
            result, earlier = _result(cell, classifier, data, bench)
        except Interrupted:
            raise
        except Exception as error:
            traceback.print_exc()
            failed[cell.attack] = f"{type(error).__name__}: {error}"
            continue
        seconds = round(time.monotonic() - began + earlier, 2)
        found = {**result.to_dict(), "seconds": seconds, "wrong": pack(result.wrong)}
        if recipe := _recipe(cell, bench):
            found["recipe"] = recipe.to_dict()
        bench.write(cell, {**found, "training": training, "note": data.note})
        say(f"{cell.defense} under {cell.attack}, eta {cell.eta:g}: {result.error:.4f}")
    return failed


def write_curve(cell: Cell, run: dict, bench: Bench) -> None:
    """Writes the test errors that a finished run measured during training as a cell's record."""
    points = run["curve"]
    final = points[-1]
    last = {}
    for name in (one for one in final if one not in ("step", "n")):
        low, high = wilson(round(final[name] * final["n"]), final["n"])
        last[name] = {"error": final[name], "ci_low": low, "ci_high": high, "n": final["n"]}
    bench.write(cell, {"points": points, "last": last, "training": training_of(run)})


def training_of(run: dict, number: int | None = None, config: RunConfig | None = None) -> dict:
    """Returns steps, precision and seconds of a run's training, from its record.

    Args:
      run: content of its record.json.
      number: round of the cat-and-mouse game up to which steps are counted; None: all rounds. The
        seconds are always those of the whole run.
      config: configuration of the run, required with a round.
    """
    training = {**run["training"], "precision": run["precision"]["training"]}
    if number is not None:
        lengths = config.schedule.round_lengths(config.game_options["rounds"])
        training["steps"] = sum(lengths[: number + 1])
    return training


def _defender(cell, bench):
    game, number = defender(cell.defense, bench.settings.rounds)
    config = bench.config(cell, game)
    folder = bench.store.path(config)
    run = read_json(os.path.join(folder, "record.json"))
    path = os.path.join(folder, "classifier.keras")
    if number is not None:
        path = round_path(os.path.join(folder, "rounds"), number)
    return keras.models.load_model(path, compile=False), training_of(run, number, config)


def round_classifier(cell: Cell, number: int, bench: Bench) -> keras.Model:
    """Loads a round's classifier of the cat-and-mouse game that belongs to the cell."""
    folder = os.path.join(bench.store.path(bench.config(cell, "adv_fgsm")), "rounds")
    return keras.models.load_model(round_path(folder, number), compile=False)


def _result(cell, classifier, data, bench) -> tuple[Result, float]:
    """Returns (result, seconds that an earlier call spent training the attack network)."""
    x, y = data.test(bench.settings.of_attack(cell.attack)["examples"])
    column = as_fitted(_attack(cell, bench))
    earlier = column.kept_seconds(classifier, data)
    attack = column.fit(classifier, data)
    label = f"{cell.defense}  eta {cell.eta:g}  {cell.attack}"
    with contextlib.closing(Progress(len(x), label=label, unit="image", last=False)) as bar:
        found = measure(classifier, attack, x, y, name=cell.attack, seed=cell.seed, progress=bar)
    return found, earlier


def _recipe(cell, bench):
    """Returns the recipe of the cell's attack network; None for other attacks."""
    game, _ = defender(cell.defense, bench.settings.rounds)
    recipe = network_recipes(bench.config(cell, game)).get(cell.attack.removesuffix("_curr"))
    if recipe is None:
        return None
    steps = bench.settings.of_attack(cell.attack)["steps"] or recipe.schedule.steps
    return dataclasses.replace(recipe, schedule=dataclasses.replace(recipe.schedule, steps=steps))


def _attack(cell, bench) -> Attack | FittedAttack:
    settings, threat = bench.settings, ThreatModel(eta=cell.eta)
    number = replayed_round(cell.attack, settings.rounds)
    if number is not None:
        return Transfer(as_classifier(round_classifier(cell, number, bench)), FGSM(threat))
    name = cell.attack.removesuffix("_curr")
    game, _ = defender(cell.defense, settings.rounds)
    folder = bench.store.path(bench.config(cell, game))
    attacker = None
    if name == MET:
        path = os.path.join(folder, "attacker.keras")
        attacker = keras.models.load_model(path, compile=False)
    options = {
        "pgd": {"steps": settings.pgd_steps},
        "autoattack": {
            "steps": settings.autoattack_steps,
            "queries": settings.autoattack_queries,
        },
    }
    recipe = _recipe(cell, bench)
    made = make_attacks(
        {name: options.get(name, {})},
        threat,
        recipes={name: recipe} if recipe else {},
        attacker=attacker,
        seed=cell.seed,
        cache_dir=os.path.join(folder, "attackers"),
    )
    return made[name]
