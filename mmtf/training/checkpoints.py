"""Checkpoints of a run: written atomically; restoring skips damaged ones."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from mmtf.classifiers.state import derive
from mmtf.config import differences, flat
from mmtf.errors import ConfigError
from mmtf.games.frozen import FrozenClassifier
from mmtf.games.players import Players
from mmtf.storage.checkpoint_files import (
    checkpoint_manager,
    checkpoint_paths,
    restore_newest,
    saving,
)
from mmtf.storage.files import read_json, write_json
from mmtf.storage.plain_json import plain_json

RUN = "run.json"
NOT_RECORDED = "not recorded"
# What an older mmtf recorded for any function or class: which one cannot be told.
NAMELESS = ("function", "builtin_function_or_method", "type")


class Checkpoints:
    """Keeps the newest `keep` checkpoints of a game's players, their step and the time spent.

    Models, updaters and the step are the whole state: batches, dropout masks and random starts are
    functions of (seed, step).

    Args:
      folder: folder of the checkpoints, created if missing.
      players: the models and updaters.
      keep: number of checkpoints, > 0.
      run: settings that determine the training. They are saved as JSON beside the checkpoints, and
        checkpoints of a run with other settings are refused. None: all checkpoints are accepted.
      precision: precision of this process's training steps.
      writes: whether this process writes checkpoints; False if another process writes them.
      also: further trackable objects by name: averages and kept weights.
      history: a variable that is saved, too, and keeps its value if a checkpoint lacks it, as those
        of older versions do.

    Attributes:
      folder: as given.
      precisions: precisions of the steps saved so far, in order.
      step: number of steps taken, int64 variable.
      seconds: time spent in steps, float64 variable.
    """

    def __init__(
        self,
        folder: str,
        players: Players,
        keep: int = 2,
        *,
        run: dict | None = None,
        precision: str = "float32",
        writes: bool = True,
        also: Mapping[str, Any] | None = None,
        history: tf.Variable | None = None,
    ):
        self.folder = folder
        self.precisions: list[str] = []
        self._run, self._precision = run and plain_json(run), precision
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        state = {"step": self.step, "seconds": self.seconds, **trackables(players), **(also or {})}
        self._older = self._checkpoint = tf.train.Checkpoint(**state)
        if history is not None:
            self._checkpoint = tf.train.Checkpoint(**state, history=history)
        self._models = players.networks
        self._manager = None
        if writes:
            self._manager = checkpoint_manager(self._checkpoint, folder, keep)

    def save(self, step: int, seconds: float) -> str | None:
        """Writes a checkpoint; earlier ones stay valid until it is complete.

        Args:
          step: number of steps taken.
          seconds: time spent in steps.

        Returns:
          Its path; None if another process writes.

        Raises:
          CheckpointError: it cannot be written.
        """
        known = list(self.precisions)
        if self._precision not in known[-1:]:
            self.precisions.append(self._precision)
        if self._manager is None:
            return None
        self.step.assign(step)
        self.seconds.assign(seconds)
        with saving(step, self.folder):
            if self.precisions != known or not os.path.exists(self._run_path):
                os.makedirs(self.folder, exist_ok=True)
                write_json(self._run_path, {"run": self._run, "precisions": self.precisions})
            return self._manager.save(checkpoint_number=step)

    def restore(self, report: Callable[[str], None]) -> int:
        """Loads the newest readable checkpoint and returns its step; 0 without checkpoints.

        Args:
          report: called with a line of text for every checkpoint that is skipped.

        Raises:
          CheckpointError: there are complete checkpoints, and none can be read.
          ConfigError: they belong to another run.
        """
        if checkpoint_paths(self.folder):
            self._read_run(report)
        if not restore_newest(self.folder, self._restore, report):
            return 0
        for model in self._models:
            derive(model)
        return int(self.step.numpy())

    def _restore(self, path):
        names = [name for name, _ in tf.train.list_variables(path)]
        known = any(name.startswith("history/") for name in names)
        status = (self._checkpoint if known else self._older).restore(path)
        status.assert_existing_objects_matched()

    @property
    def _run_path(self) -> str:
        return os.path.join(self.folder, RUN)

    def _read_run(self, report):
        try:
            known = read_json(self._run_path)
            run, self.precisions = known["run"], known["precisions"]
        except FileNotFoundError:  # written by an older mmtf
            run, self.precisions = None, [NOT_RECORDED]
        except (ValueError, KeyError, TypeError, OSError) as error:
            report(f"WARNING: {self._run_path} cannot be read ({type(error).__name__}: {error}).")
            run, self.precisions = None, [NOT_RECORDED]
        if self._run is None or run is None:
            return
        # Settings that an older mmtf did not record cannot be compared.
        ours = flat({name: self._run[name] for name in self._run if name in run})
        theirs = flat(run)
        ours |= {name: theirs[name] for name in ours if theirs.get(name) in NAMELESS}
        changed = differences(ours, theirs)
        if changed:
            raise ConfigError(
                f"Expected checkpoints of this run in {self.folder}. Received those of another: "
                f"{'; '.join(changed)}. Give another folder, or delete this one."
            )


def trackables(players: Players) -> dict[str, Any]:
    """The models and updaters of a game as objects for tf.train.Checkpoint, by name."""
    models = {
        f"model_{name}": one.checkpoint if isinstance(one, FrozenClassifier) else one
        for name, one in players.models.items()
    }
    updaters = {f"optimizer_{name}": one for name, one in players.updaters.items()}
    return {**models, **updaters}
