"""A store of trained runs, found by a hash of the settings that affect training."""

import dataclasses
import json
import os
import shutil
import tempfile
from typing import Any

from mmtf.config import RunConfig
from mmtf.errors import require
from mmtf.presets import run_config
from mmtf.runs.workdir import Workdir, is_finished
from mmtf.storage.digest import sha256
from mmtf.storage.files import read_json
from scripts.paper.cells import Cell, Track
from scripts.paper.players import games_of
from scripts.paper.settings import Settings

# These affect a run's own table, not its training; constant, so that a run's folder can be reused.
_TABLE: dict[str, Any] = {"attacks": ("none", "fgsm"), "max_examples": 1000}
_UNUSED = ("attacks", "pgd_steps", "pgd_restarts", "max_examples", "schedule_name")


def classifier_config(
    track: Track, settings: Settings, game: str, eta: float, seed: int
) -> RunConfig:
    """Returns the configuration that trains `game`; Minimax-Grad by Eq. 8 on all examples."""
    options = {"adv_fgsm": {"rounds": settings.rounds}, "minimax_grad": {"penalty_every": 1}}
    return run_config(
        game=game,
        dataset=track.dataset,
        eta=eta,
        game_options=options.get(game),
        net_options={"init": track.init},
        schedule=track.schedule,
        schedule_options=settings.schedule_of(track, game),
        seed=seed,
        **_TABLE,
    )


def config_key(config: RunConfig) -> str:
    """Returns the hash of the settings that affect training, without those of the final table."""
    values = {name: value for name, value in config.to_dict().items() if name not in _UNUSED}
    return sha256(json.dumps(values, sort_keys=True))[:12]


@dataclasses.dataclass(frozen=True)
class Store:
    """The runs under a folder.

    Attributes:
      root: the folder.
    """

    root: str

    def path(self, config: RunConfig) -> str:
        """Returns the run's folder, <root>/<game>-<dataset>-eta<eta>-<key>."""
        name = f"{config.game}-{config.dataset}-eta{config.eta:g}-{config_key(config)}"
        return os.path.join(self.root, name)

    def has(self, config: RunConfig) -> bool:
        """Whether the store has a finished run of the configuration."""
        return is_finished(self.path(config))

    def fingerprint(self, config: RunConfig) -> str | None:
        """Returns the hash of the run's final classifier; None if there is no such run.

        Two trainings of one configuration differ if machines or numbers of threads differ.
        """
        path = os.path.join(self.path(config), "classifier.keras")
        if not self.has(config) or not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return sha256(file.read())[:12]

    def training(self, config: RunConfig) -> dict | None:
        """Returns `training` of the run's record; None if there is no such run."""
        if not self.has(config):
            return None
        return read_json(os.path.join(self.path(config), "record.json")).get("training")

    def workdir(self, config: RunConfig) -> Workdir:
        """Returns the run's Workdir, which the caller enters."""
        return Workdir(self.path(config), config)

    def adopt(self, folder: str) -> str:
        """Copies a finished run of `mmtf.run` into the store; returns the copy's path.

        Args:
          folder: workdir of the run.

        Raises:
          ConfigError: the run has not finished, or the store already has such a run.
        """
        require(is_finished(folder), "the workdir of a finished run", folder)
        path = self.path(RunConfig.from_dict(read_json(os.path.join(folder, "config.json"))))
        require(not os.path.exists(path), "a run that the store does not have", path)
        os.makedirs(self.root, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root) as temporary:
            copy = os.path.join(temporary, "run")
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checkpoints", "logs"))
            os.rename(copy, path)
        return path


def configs_of(cell: Cell, settings: Settings) -> list[RunConfig]:
    """Returns the configurations of the runs that a cell needs, in the order of `games_of`."""
    games = games_of(cell, settings.rounds)
    return [classifier_config(cell.track, settings, g, cell.eta, cell.seed) for g in games]


def keys_of(cell: Cell, settings: Settings) -> list[str]:
    """Returns the hashes of the runs that a cell needs, in the order of `games_of`."""
    return [config_key(config) for config in configs_of(cell, settings)]


def is_of_today(cell: Cell, settings: Settings, record: dict | None) -> bool:
    """Whether `record` has this cell's present settings and run configurations."""
    return (
        record is not None
        and record["settings"] == settings.of_attack(cell.attack)
        and record["players"] == keys_of(cell, settings)
    )


def is_current(cell: Cell, settings: Settings, record: dict | None, store: Store) -> bool:
    """Whether `record` satisfies `is_of_today` and was measured on the runs in the store.

    A record of another training of the same configuration is not current.
    """
    if not is_of_today(cell, settings, record):
        return False
    configs = configs_of(cell, settings)
    measured = record.get("runs")
    if measured is None:  # records made before runs had fingerprints
        training, mine = store.training(configs[0]), record.get("training")
        return not (training and mine) or training["seconds"] == mine["seconds"]
    there = [store.fingerprint(config) for config in configs]
    return all(one in (None, theirs) for one, theirs in zip(there, measured, strict=True))
