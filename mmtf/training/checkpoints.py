"""The state of a run on disk: saved whole or not at all, read back past a damaged file."""

import dataclasses
import glob
import json
import os
import re

import tensorflow as tf

from mmtf.config import differences
from mmtf.errors import ConfigError, RunError
from mmtf.games.base import Players
from mmtf.storage.files import read_json, write_json

RUN = "run.json"
NOT_RECORDED = "not recorded"


class CheckpointError(RunError):
    """A checkpoint that cannot be written or read: what happened, what to do."""


class Checkpoints:
    """Keeps the newest `keep` checkpoints of a game's players, their step and seconds spent.

    Models, optimizers and the step are all there is to save: batches, dropout masks and random
    starts follow from (seed, step).

    Args:
      folder: made when missing.
      players: the models and optimizers.
      keep: > 0.
      run: what decides the training, kept as JSON beside the checkpoints: those of another run
        are refused. None: not asked.
      precision: that this process trains in.
      writes: False where another process does: `save` writes nothing.

    Attributes:
      precisions: that the steps saved so far were taken in, in this order.
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
    ):
        self.folder = folder
        self.precisions: list[str] = []
        self._run, self._precision = run and plain_json(run), precision
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            step=self.step, seconds=self.seconds, **_named(players)
        )
        self._manager = None
        if writes:
            self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=keep)

    def save(self, step: int, seconds: float) -> str | None:
        """Writes a checkpoint of `step`, reached in `seconds` of steps.

        The ones before stay valid until it is complete.
        """
        known = list(self.precisions)
        if self._precision not in known[-1:]:
            self.precisions.append(self._precision)
        if self._manager is None:
            return None
        self.step.assign(step)
        self.seconds.assign(seconds)
        try:
            if self.precisions != known or not os.path.exists(self._run_path):
                os.makedirs(self.folder, exist_ok=True)
                write_json(self._run_path, {"run": self._run, "precisions": self.precisions})
            return self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            raise CheckpointError(
                f"Step {step} could not be saved in {self.folder} "
                f"({str(error).splitlines()[0][:200]}). Make room or mend the folder and start the "
                f"same command again: it goes on from the checkpoint before."
            ) from error

    def restore(self, report) -> int:
        """Loads the newest readable checkpoint and returns its step, 0 where there is none.

        Args:
          report: called with a line for every checkpoint that had to be passed over.

        Raises:
          CheckpointError: there are checkpoints, and none can be read.
          ConfigError: they are of another run.
        """
        paths = self._paths()
        if paths:
            self._read_run(report)
        for path in reversed(paths):
            try:
                status = self._checkpoint.restore(path)
                status.assert_existing_objects_matched()
            except (tf.errors.OpError, AssertionError, ValueError, IndexError, OSError) as error:
                reason = str(error).splitlines()[0][:160]
                report(
                    f"WARNING: checkpoint {path} cannot be read ({type(error).__name__}: {reason});"
                    f" trying the one before."
                )
                continue
            return int(self.step.numpy())
        if paths:
            raise CheckpointError(
                f"None of the checkpoints in {self.folder} can be read. Delete that folder to "
                "start from step 0, or use another one."
            )
        return 0

    @property
    def _run_path(self) -> str:
        return os.path.join(self.folder, RUN)

    def _read_run(self, report):
        try:
            known = read_json(self._run_path)
            run, self.precisions = known["run"], known["precisions"]
        except FileNotFoundError:  # of an older mmtf
            run, self.precisions = None, [NOT_RECORDED]
        except (ValueError, KeyError, TypeError, OSError) as error:
            report(f"WARNING: {self._run_path} cannot be read ({type(error).__name__}: {error}).")
            run, self.precisions = None, [NOT_RECORDED]
        if self._run is None or run is None:
            return
        # What an older mmtf did not write down cannot be compared.
        changed = differences({name: self._run[name] for name in self._run if name in run}, run)
        if changed:
            raise ConfigError(
                f"Expected checkpoints of this run in {self.folder}. Received those of another: "
                f"{'; '.join(changed)}. Give another folder, or delete this one."
            )

    def _paths(self) -> list[str]:
        # By the files, not by the manager's own list, which may be the damaged one.
        found = {}
        for index in glob.glob(os.path.join(glob.escape(self.folder), "ckpt-*.index")):
            match = re.fullmatch(r"ckpt-(\d+)\.index", os.path.basename(index))
            if match:
                found[int(match.group(1))] = index.removesuffix(".index")
        return [found[number] for number in sorted(found)]


def plain_json(values):
    """The same as JSON has it: NumPy's numbers, dataclasses; of other objects the type alone."""

    def plain(value):
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        return value.item() if hasattr(value, "item") else type(value).__name__

    return json.loads(json.dumps(values, default=plain))


def _named(players: Players) -> dict:
    models = {f"model_{name}": model for name, model in players.models.items()}
    optimizers = {f"optimizer_{name}": one for name, one in players.optimizers.items()}
    return {**models, **optimizers}
