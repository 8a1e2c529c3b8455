"""`RunConfig`: the settings of a run, immutable, validated, convertible to JSON.

This module does not import TensorFlow.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtf.errors import (
    require,
    require_bool,
    require_choice,
    require_int,
    require_names,
    require_number,
    require_same_names,
    require_seed,
    require_text,
)
from mmtf.radius import as_radius, require_norm
from mmtf.registry import base_name, is_place
from mmtf.runtime import PRECISIONS
from mmtf.schedule import Schedule as Schedule
from mmtf.schedule import setting
from mmtf.storage.plain_json import plain_json

NORMS = ("linf", "l2", "l1")
INITIALIZERS = ("keras", "tutorial")
SCHEDULES = ("fast", "paper", "brief", "long")
DISTRIBUTIONS = ("auto", "mirrored", "multiworker")
CLUSTERS = ("tf_config", "slurm", "kubernetes")
# App. B of the paper standardizes each image of these datasets by its own mean and deviation. eta
# is on the standardized scale, where one eta is a different eps (on [0, 1]) for each image.
STANDARDIZED = ("cifar10",)
# Game options added after 0.1, with the value that reproduces runs of 0.1.
ADDED_OPTIONS = {"penalty_every": 1}
# Fields of RunConfig added after 0.1, likewise.
ADDED_SETTINGS = {"awp_gamma": 0.0, "awp_after": 0, "jit_compile": None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings that determine the results of one run of `mmtf.run`.

    `mmtf.run_config` fills in the defaults of the presets. Settings that do not change the results,
    such as the output folder, are not part of it.

    Attributes:
      game: name of a game in `mmtf.games`, or `module:attribute` of a user's own.
      dataset: `mnist`, `cifar10`, `digits` or another image-classification dataset of TFDS, or
        `module:attribute` of a user's own, or `folder:PATH` or `npz:PATH`.
      eta: radius of the attack for pixels in [-1, 1] (Eq. 5), > 0: twice the eps for pixels in
        [0, 1]. With `linf` also a tuple or list, a radius for each channel. A text such as "8/255"
        or "0.1:0.2:0.3" is read by `mmtf.radius.parse_radius`.
      norm: `linf`, `l2` or `l1`, the p of ||z - x||_p <= eta.
      game_options: keyword arguments of the game: all of them, except those that
        `without_added_defaults` leaves out.
      net: name of a net in `mmtf.nets`, or `module:attribute`.
      net_options: keyword arguments of the net: all but image_shape, num_classes and seed.
      schedule_name: the preset whose values `schedule` has where the user gave none.
      schedule: number of steps, batch size and learning rate.
      precision: of training and of the attacks of the final table: `float32`, `bfloat16` or `auto`
        (bfloat16 where the hardware supports it). Errors are always measured in float32.
      awp_gamma: > 0 wraps the game in `mmtf.games.AWP` with this gamma; 0 does not.
      awp_after: number of steps before AWP begins.
      jit_compile: whether XLA compiles the training steps; XLA's random numbers differ. None: only
        in a long run on a single GPU (`mmtf.runtime.devices.resolve_jit`).
      attacks: attacks of the final table, in its order: names, or `module:attribute`.
      pgd_steps, pgd_restarts: steps, and random restarts, of PGD in the final table, > 0.
      max_examples: number of test examples in the final table, the first ones; 0: all.
      seed: seed of the initial weights, the batches, dropout and random starts, in [0, 2^31).

    Raises:
      ConfigError: a value out of range.
    """

    game: str = setting("minimax_grad", "Training objective: the game to play.")
    dataset: str = setting(
        "mnist",
        "mnist (the default), cifar10, digits (included), or the name of another "
        "image-classification dataset of TensorFlow Datasets; folder:PATH, images by class, with "
        "options as folder:PATH,image_size=64x64; npz:PATH.",
        by_preset=True,
    )
    eta: Any = setting(
        0.3,
        "Radius of the attack for pixels in [-1, 1]; default 0.3, for cifar10 0.06. With linf also "
        "the radii of the channels, 0.1:0.2:0.3.",
        by_preset=True,
    )
    norm: str = setting("linf", "Norm in which the radius is measured.", choices=NORMS)
    game_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    net: str = setting(
        "mnist_cnn",
        "Architecture of the classifier; the default depends on the dataset.",
        by_preset=True,
    )
    net_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule_name: str = setting(
        "fast",
        "Preset of steps and learning rate: fast (tuned for few steps), paper (the paper's numbers "
        "of steps), brief (the paper's learning rate, few steps) or long (ten times fast's steps).",
        choices=SCHEDULES,
    )
    schedule: Schedule = dataclasses.field(default_factory=lambda: Schedule(steps=1))
    precision: str = setting(
        "auto",
        "Floating-point precision of training and of the attacks of the final table; errors are "
        "always measured in float32.",
        choices=PRECISIONS,
    )
    awp_gamma: float = setting(
        0.0,
        "Adversarial weight perturbation around the game: length of the perturbation relative to "
        "the weights, such as 0.01; 0 for none.",
    )
    awp_after: int = setting(0, "Number of steps before weights are perturbed (--awp_gamma).")
    jit_compile: bool | None = setting(
        None,
        "Whether XLA compiles the training steps; default: only in a long run on a single GPU.",
    )
    attacks: tuple[str, ...] = setting(
        ("none", "fgsm", "ifgsm", "pgd"), "Attacks of the final table", by_preset=True
    )
    pgd_steps: int = setting(40, "Number of steps of PGD in the final table.")
    pgd_restarts: int = setting(2, "Number of random restarts of PGD in the final table.")
    max_examples: int = setting(0, "Number of test examples in the final table; 0 for all.")
    seed: int = setting(0, "Seed of the initial weights, the batches, dropout and random starts.")

    def __post_init__(self) -> None:
        object.__setattr__(self, "eta", as_radius("eta", self.eta))
        for name in ("game", "dataset", "net"):
            require_text(name, getattr(self, name))
        require_int("pgd_steps", self.pgd_steps)
        require_int("pgd_restarts", self.pgd_restarts)
        require_int("max_examples", self.max_examples, at_least=0)
        require_seed(self.seed)
        require_number("awp_gamma", self.awp_gamma, at_least=0)
        require_int("awp_after", self.awp_after, at_least=0)
        if self.jit_compile is not None:
            require_bool("jit_compile", self.jit_compile)
        require_choice("norm", self.norm, NORMS)
        require_norm(self.eta, self.norm)
        require_names("attacks", self.attacks)
        require_choice("precision", self.precision, PRECISIONS)
        require_choice("schedule", self.schedule_name, SCHEDULES)

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dict of JSON types; `from_dict` is the inverse.

        Options of a user's own game or net that JSON has no type for are as `plain_json` names
        them, and stay so.
        """
        as_dict = dataclasses.asdict(self)
        for name in ("game_options", "net_options"):
            as_dict[name] = plain_json(as_dict[name])
        as_dict["attacks"] = list(self.attacks)
        as_dict["schedule"] = self.schedule.to_dict()
        if not isinstance(self.eta, float):
            as_dict["eta"] = np.asarray(self.eta).tolist()
        for name, before in ADDED_SETTINGS.items():
            if as_dict[name] == before:
                del as_dict[name]  # equal to configs from before the setting existed
        return as_dict

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """The config that `to_dict` converted to `values`.

        Raises:
          ConfigError: a setting is unknown or missing, or a value is out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        require(isinstance(values, Mapping), "the settings of a run as a dict", values)
        values = {**ADDED_SETTINGS, **values}
        require_same_names("of a run", values, known)
        schedule = Schedule.from_dict(values["schedule"])
        return cls(**{**values, "schedule": schedule, "attacks": tuple(values["attacks"])})


def is_standardized(dataset: str, preprocess: str | None = None) -> bool:
    """Whether `mmtf.load_data(dataset, preprocess=preprocess)` standardizes images one by one.

    Example:
      >>> [is_standardized(name) for name in ("cifar10", "cifar10:3.0.2", "mine:cifar10", "mnist")]
      [True, True, False, False]
    """
    if preprocess is not None:
        return preprocess == "per_image"
    return not is_place(dataset) and base_name(dataset) in STANDARDIZED


def without_added_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """Game options without those of ADDED_OPTIONS that have the value given there.

    A run of mmtf 0.1 has a config without these options. It can be resumed because the config of
    the same run today is equal to it.

    Example:
      >>> without_added_defaults({"gamma": 1.0, "penalty_every": 1})
      {'gamma': 1.0}
      >>> without_added_defaults({"penalty_every": 2})
      {'penalty_every': 2}
    """
    return {
        name: value
        for name, value in options.items()
        if name not in ADDED_OPTIONS or value != ADDED_OPTIONS[name]
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dict as a flat one with dotted names, each after `prefix`.

    Example:
      >>> flat({"seed": 0, "schedule": {"steps": 5}})
      {'seed': 0, 'schedule.steps': 5}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping)
        found |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The settings in which two config dicts differ, as lines 'name: theirs -> ours'.

    Example:
      >>> differences({"seed": 0, "schedule": {"steps": 5}}, {"seed": 0, "schedule": {"steps": 6}})
      ['schedule.steps: 6 -> 5']
    """
    ours, theirs = flat(ours), flat(theirs)
    names = sorted(set(ours) | set(theirs))
    pairs = {name: (theirs.get(name, "(absent)"), ours.get(name, "(absent)")) for name in names}
    return [f"{name}: {old!r} -> {new!r}" for name, (old, new) in pairs.items() if old != new]
