"""The folder of one run: its configuration, lock, checkpoints, logs, record and exports."""

import os
from typing import Any, TextIO

from mmtf.config import RunConfig, differences
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.radius import radius_text
from mmtf.registry import label_of
from mmtf.storage.files import read_json, write_json
from mmtf.storage.lock import hold

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
        self.path = os.path.abspath(os.path.expanduser(path))
        self._config = config
        self._lock: TextIO | None = None
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
        self._lock = hold(self.path)
        try:
            self._check_config()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused: object) -> None:
        if self._lock is not None:
            self._lock.close()

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
        changed = differences(ours, _read_config(self.config_path))
        if changed:
            raise ConfigError(
                f"Expected the config that {self.path} was begun with. Received another: "
                f"{'; '.join(changed)}. Give another folder, or delete this one."
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
        try:
            return read_json(self.record_path)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def is_finished(path: str) -> bool:
    """Whether the run in folder `path` has finished, which is when its record is written."""
    return os.path.exists(os.path.join(os.path.expanduser(path), "record.json"))


def dataset_played(path: str, asked: str) -> str:
    """Returns the dataset of the finished run in `path`: `asked`, or its substitute."""
    about = read_json(os.path.join(os.path.expanduser(path), "record.json"))["dataset"]
    return about["name"] if about["notice"] else asked


def _read_config(path: str) -> dict[str, Any]:
    try:
        return read_json(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def default_workdir(config: RunConfig) -> str:
    """Returns runs/<game>-<dataset>-eta<eta>-seed<seed>.

    Norm, initializer and schedule are added where they differ from the defaults. A user-defined
    game or dataset is named by its label: `my_package:MyGame` is my_game.
    """
    parts = [
        GAMES.label(config.game),
        label_of(config.dataset),
        f"eta{radius_text(config.eta).replace(':', '_')}",
    ]
    if config.norm != "linf":
        parts.append(config.norm)
    if config.net_options.get("init", "keras") != "keras":
        parts.append(config.net_options["init"])
    if config.schedule_name != "fast":
        parts.append(config.schedule_name)
    parts.append(f"seed{config.seed}")
    return os.path.join("runs", "-".join(parts))
