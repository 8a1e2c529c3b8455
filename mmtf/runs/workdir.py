"""The folder of one run: its configuration, lock, checkpoints, logs, record and exports."""

import os
import re
from typing import Any, TextIO

from mmtf.config import RunConfig, differences
from mmtf.errors import ConfigError, require_path
from mmtf.games import GAMES
from mmtf.radius import radius_text
from mmtf.registry import label_of
from mmtf.runs.reading import read_config, read_record
from mmtf.storage.files import files_within, remove_partial, write_json
from mmtf.storage.lock import NewFolder, hold

# What a run exports: the classifier, and the attack networks by their names.
EXPORTS = re.compile(r"classifier\.keras|saved_model|attacker\w*\.keras|attacker\w*_saved_model")
RUN = "run.json"  # as in mmtf.training.checkpoints, whose import would load TensorFlow


class Workdir:
    """Context manager that locks a folder for one run.

    Args:
      path: the folder, created if it does not exist.
      config: the run's configuration; a folder with a run of another one is refused.

    Raises:
      ConfigError: on entering, the folder cannot be written, holds a run of another configuration,
        or is used by another process (InUse).
    """

    def __init__(self, path: str, config: RunConfig):
        require_path("workdir", path)
        self.path = os.path.abspath(os.path.expanduser(path))
        self._config = config
        self._lock: TextIO | None = None
        self._new: NewFolder | None = None
        self.config_path = self.inside("config.json")
        self.record_path = self.inside("record.json")
        self.checkpoint_dir = self.inside("checkpoints")
        self.log_dir = self.inside("logs")
        self.round_dir = self.inside("rounds")
        self.curve_path = self.inside("curve.json")
        self.keras_path = self.inside("classifier.keras")
        self.attacker_path = self.inside("attacker.keras")
        self.saved_model_path = self.inside("saved_model")

    def inside(self, name: str) -> str:
        """Returns the path of `name` in the folder."""
        return os.path.join(self.path, name)

    def __enter__(self) -> "Workdir":
        if not self._has_begun():
            self._refuse_others_files()
        self._new = NewFolder(self.path)
        self._lock = hold(self.path)
        try:
            folders = (self.checkpoint_dir, self.round_dir, self.inside("attackers"))
            remove_partial(self.path, *folders)
            self._check_config()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind: type | None = None, *unused: object) -> None:
        if kind is not None and issubclass(kind, ConfigError) and not self._has_begun():
            self._discard()
        if self._lock is not None:
            self._lock.close()

    def _discard(self) -> None:
        """Removes the folder of a run that was refused before its first step, if it made it."""
        if self._new is not None:
            logs = [name for name in files_within(self.path) if name.startswith("logs" + os.sep)]
            self._new.discard(".lock", "config.json", os.path.join("checkpoints", RUN), *logs)

    def _check_config(self) -> None:
        ours, begun = self._config.to_dict(), self._has_begun()
        if not begun:  # a config.json alone is left by a run that failed to start
            self._write_config(ours)
            return
        if not os.path.exists(self.config_path):
            raise ConfigError(
                f"Expected a config.json in {self.path}. Received: none, but {begun} of some run. "
                "Give another folder, or delete this one."
            )
        changed = differences(ours, read_config(self.config_path))
        if changed:
            raise ConfigError(
                f"Expected the config that {self.path} was begun with. Received another: "
                f"{'; '.join(changed)}. Give another folder, or delete this one."
            )

    def _refuse_others_files(self) -> None:
        """Raises ConfigError for files that a new run would overwrite and no run has left."""
        if os.path.exists(self.config_path):
            try:
                read_config(self.config_path)
            except ConfigError as error:
                raise ConfigError(
                    f"{error} For a new run, give a folder without a config.json of something else."
                ) from error
        found = sorted(os.listdir(self.path)) if os.path.isdir(self.path) else []
        taken = [name for name in found if EXPORTS.fullmatch(name)]
        if taken:
            raise ConfigError(
                f"Expected a new folder, or one with a run to go on from. Received: {self.path}, "
                f"which holds {', '.join(taken)} and no run. Give another folder."
            )

    def _has_begun(self) -> str:
        """Name of a file or folder that an earlier run left here; "" if it left none."""
        for path in (self.record_path, self.checkpoint_dir, self.curve_path):
            # A checkpoint folder with nothing but run.json holds no checkpoint.
            if os.path.isfile(path) or (os.path.isdir(path) and set(os.listdir(path)) - {RUN}):
                return os.path.basename(path)
        return ""

    def _write_config(self, values: dict[str, Any]) -> None:
        try:
            write_json(self.config_path, values)
        except OSError as error:
            raise ConfigError(
                f"Expected a folder that can be written. Received: {self.path} ({error.strerror})."
            ) from error

    def finished(self) -> dict[str, Any] | None:
        """Returns the record of a finished run, None if the run has not finished."""
        if not os.path.exists(self.record_path):
            return None
        return read_record(self.record_path)


def is_finished(path: str) -> bool:
    """Whether the run in folder `path` has finished, which is when its record is written."""
    return os.path.exists(os.path.join(os.path.expanduser(path), "record.json"))


def dataset_played(path: str, asked: str) -> str:
    """Returns the dataset of the finished run in `path`: `asked`, or its substitute."""
    about = read_record(os.path.join(os.path.expanduser(path), "record.json"))["dataset"]
    return about["name"] if about["notice"] else asked


def default_workdir(config: RunConfig) -> str:
    """Returns runs/<game>-<dataset>-eta<eta>-seed<seed>.

    AWP, norm, initializer and schedule are added where they differ from the defaults. A
    user-defined game or dataset is named by its label: `my_package:MyGame` is my_game.
    """
    parts = [
        GAMES.label(config.game),
        label_of(config.dataset),
        f"eta{radius_text(config.eta).replace(':', '_')}",
    ]
    if config.awp_gamma:
        parts.insert(1, f"awp{config.awp_gamma:g}")
    if config.norm != "linf":
        parts.append(config.norm)
    if config.net_options.get("init", "keras") != "keras":
        parts.append(config.net_options["init"])
    if config.schedule_name != "fast":
        parts.append(config.schedule_name)
    parts.append(f"seed{config.seed}")
    return os.path.join("runs", "-".join(parts))
