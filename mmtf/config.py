"""What a run is: frozen, validated settings that go to JSON and back. No TensorFlow here."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmtf.errors import require, require_choice
from mmtf.radius import as_radius, require_norm
from mmtf.runtime import PRECISIONS

NORMS = ("linf", "l2")
INITIALIZERS = ("keras", "tutorial")
SCHEDULES = ("fast", "paper", "brief")
DECAYS = ("constant", "cosine")
DISTRIBUTIONS = ("auto", "mirrored", "multiworker")
CLUSTERS = ("tf_config", "slurm", "kubernetes")
# App. B of the paper standardizes these datasets' images one by one: eta is on that scale, where no
# eps for pixels in [0, 1] means the same for all images.
STANDARDIZED = ("cifar10",)
# Options of games that came later, and what every run had before.
BEFORE = {"penalty_every": 1}


def setting(
    default: Any, about: str, *, choices: Iterable[str] = (), by_preset: bool = False
) -> Any:
    """A field of a config, and what a command line says of it.

    Args:
      default: the field's; `dataclasses.MISSING` where there is none.
      about: one sentence.
      choices: what it can be.
      by_preset: whether the presets decide where nothing is given.
    """
    about = f"{about} One of: {', '.join(choices)}." if choices else about
    metadata = {"about": about, "by_preset": by_preset}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast the players learn (Adam throughout, as in the paper).

    Attributes:
      steps: min steps in all, or in each round of a game that is played in rounds. > 0.
      first_steps: steps of round 0 (the undefended classifier) of such a game; 0: like `steps`.
      batch_size: examples in one global batch, over all replicas. > 0.
      learning_rate: Adam's learning rate, the peak where it varies. > 0.
      warmup_steps: steps over which the learning rate climbs linearly from 0. >= 0.
      decay: `constant`, or `cosine` down to 0 at the last step.
    """

    steps: int = setting(
        dataclasses.MISSING, "Training steps, or steps of each round from 1 on.", by_preset=True
    )
    first_steps: int = setting(0, "Steps of round 0 of a game with rounds.", by_preset=True)
    batch_size: int = setting(128, "Examples in a global batch.", by_preset=True)
    learning_rate: float = setting(1e-4, "Adam's rate, the peak where it varies.", by_preset=True)
    warmup_steps: int = setting(0, "Steps of linear warm-up.", by_preset=True)
    decay: str = setting("constant", "Of the learning rate.", choices=DECAYS, by_preset=True)

    def __post_init__(self) -> None:
        require(self.steps > 0, "steps > 0", self.steps)
        require(self.first_steps >= 0, "first_steps >= 0", self.first_steps)
        require(self.batch_size > 0, "batch_size > 0", self.batch_size)
        rate = self.learning_rate
        require(math.isfinite(rate) and rate > 0, "learning_rate > 0 and finite", rate)
        require(self.warmup_steps >= 0, "warmup_steps >= 0", self.warmup_steps)
        require_choice("decay", self.decay, DECAYS)

    def round_lengths(self, rounds: int) -> list[int]:
        """Steps of rounds 0, 1, ..., `rounds`; a game without rounds has round 0 alone.

        Example:
          >>> Schedule(steps=5, first_steps=9).round_lengths(2)
          [9, 5, 5]
        """
        return [self.first_steps or self.steps] + [self.steps] * rounds

    def total_steps(self, rounds: int) -> int:
        """Steps of rounds 0 to `rounds` together."""
        return sum(self.round_lengths(rounds))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides the outcome of one run of `mmtf.run`, and nothing else.

    Attributes:
      game: name of a game in `mmtf.games`, or `module:attribute` of a game of your own.
      dataset: `mnist`, `cifar10`, `digits` or another image-classification dataset of TFDS, or
        `module:attribute` of a dataset of your own, or `folder:PATH` or `npz:PATH`.
      eta: radius of the attack on the [-1, 1] scale of the pixels (Eq. 5): eta = 2 eps for an eps
        on [0, 1]. > 0. With `linf` also a tuple or list, a radius for each channel. A text such as
        "8/255" or "0.1:0.2:0.3" is read by `mmtf.radius.parse_radius`.
      norm: `linf` or `l2`, the p of ||z - x||_p <= eta.
      game_options: all keyword arguments of the game (`registry.resolve_kwargs`) but those
        that `as_before` leaves out.
      net: name of a net in `mmtf.nets`, or `module:attribute`.
      net_options: keyword arguments of the net, all but image_shape, num_classes and seed.
      schedule_name: which preset `schedule` started from.
      schedule: the steps, batch size and learning rate in force.
      precision: `float32` or `bfloat16` for training, or `auto`; evaluation is always float32.
      jit_compile: whether XLA compiles the training steps, which draws other random numbers; None:
        of a long run on a single GPU (`mmtf.runtime.devices.resolve_jit`).
      attacks: attacks of the final table, in its order; names, or `module:attribute`.
      pgd_steps, pgd_restarts: steps and random restarts of the table's PGD.
      max_examples: test examples used for the table, 0 for all.
      seed: seed of the initializer, the batches, dropout and random starts.
    """

    game: str = setting("minimax_grad", "The game to play.")
    dataset: str = setting(
        "mnist",
        "mnist (the default), cifar10, digits (embedded), or an image classification of TensorFlow "
        "Datasets by name; folder:PATH, images by class, with options as "
        "folder:PATH,image_size=64x64; npz:PATH.",
        by_preset=True,
    )
    eta: Any = setting(
        0.3, "Attack radius for pixels in [-1, 1]; default 0.3, cifar10 0.06.", by_preset=True
    )
    norm: str = setting("linf", "Norm of the radius.", choices=NORMS)
    game_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    net: str = setting("mnist_cnn", "The classifier; default by dataset.", by_preset=True)
    net_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule_name: str = setting(
        "fast", "Minutes, the paper's iterations, or its rate alone.", choices=SCHEDULES
    )
    schedule: Schedule = dataclasses.field(default_factory=lambda: Schedule(steps=1))
    precision: str = setting(
        "auto", "Of training; evaluation is always float32.", choices=PRECISIONS
    )
    jit_compile: bool | None = setting(
        None, "XLA compiles the steps; default: of long runs on a GPU."
    )
    attacks: tuple[str, ...] = setting(
        ("none", "fgsm", "ifgsm", "pgd"), "Attacks of the final table", by_preset=True
    )
    pgd_steps: int = setting(40, "Steps of the final table's PGD.")
    pgd_restarts: int = setting(2, "Random restarts of the final table's PGD.")
    max_examples: int = setting(0, "Test examples in the final table; 0 for all.")
    seed: int = setting(0, "Of the net, the batches, dropout and random starts.")

    def __post_init__(self) -> None:
        object.__setattr__(self, "eta", as_radius("eta", self.eta))
        require(self.pgd_steps > 0, "pgd_steps > 0", self.pgd_steps)
        require(self.pgd_restarts > 0, "pgd_restarts > 0", self.pgd_restarts)
        require(self.max_examples >= 0, "max_examples >= 0 (0: all)", self.max_examples)
        require(0 <= self.seed < 2**31, "seed in [0, 2^31)", self.seed)
        require_choice("norm", self.norm, NORMS)
        require_norm(self.eta, self.norm)
        require(bool(self.attacks), "at least one attack for the table", self.attacks)
        require_choice("precision", self.precision, PRECISIONS)
        require_choice("schedule", self.schedule_name, SCHEDULES)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types only; `from_dict` is the inverse."""
        as_dict = dataclasses.asdict(self)
        as_dict["attacks"] = list(self.attacks)
        if not isinstance(self.eta, float):
            as_dict["eta"] = np.asarray(self.eta).tolist()
        if self.jit_compile is None:
            del as_dict["jit_compile"]  # configs from before there was a choice stay what they are
        return as_dict

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """The config that `to_dict` wrote; unknown or missing names raise ConfigError."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {"jit_compile": None, **values}
        require(set(values) == known, f"exactly the settings {sorted(known)}", sorted(values))
        fields = {field.name for field in dataclasses.fields(Schedule)}
        given = values["schedule"]
        require(set(given) == fields, f"exactly the schedule {sorted(fields)}", sorted(given))
        schedule = Schedule(**given)
        return cls(**{**values, "schedule": schedule, "attacks": tuple(values["attacks"])})


def as_before(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without those that came later and ask for what every run did before.

    A run that was begun before they came has a config without them, and goes on.

    Example:
      >>> as_before({"gamma": 1.0, "penalty_every": 1}), as_before({"penalty_every": 2})
      ({'gamma': 1.0}, {'penalty_every': 2})
    """
    return {
        name: value
        for name, value in options.items()
        if name not in BEFORE or value != BEFORE[name]
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as one dict with dotted names.

    Example:
      >>> flat({"seed": 0, "schedule": {"steps": 5}})
      {'seed': 0, 'schedule.steps': 5}
    """
    found = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping)
        found |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Lines 'name: theirs -> ours' for every setting in which two config dicts differ.

    Example:
      >>> differences({"seed": 0, "schedule": {"steps": 5}}, {"seed": 0, "schedule": {"steps": 6}})
      ['schedule.steps: 6 -> 5']
    """
    ours, theirs = flat(ours), flat(theirs)
    names = sorted(set(ours) | set(theirs))
    pairs = {name: (theirs.get(name, "(absent)"), ours.get(name, "(absent)")) for name in names}
    return [f"{name}: {old!r} -> {new!r}" for name, (old, new) in pairs.items() if old != new]
