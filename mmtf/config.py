"""What a run is: frozen, validated settings that go to JSON and back. No TensorFlow here."""

import dataclasses
import math

from mmtf.errors import require, require_choice
from mmtf.runtime import PRECISIONS

NORMS = ("linf", "l2")
INITIALIZERS = ("keras", "tutorial")
SCHEDULES = ("fast", "paper", "brief")
DECAYS = ("constant", "cosine")
DISTRIBUTIONS = ("auto", "mirrored", "multiworker")
CLUSTERS = ("tf_config", "slurm", "kubernetes")
# Options of games that came later, and what every run had before.
BEFORE = {"penalty_every": 1}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast the players learn (Adam throughout, as in the paper).

    Attributes:
      steps: min steps in all, or in each round of a game that is played in rounds. > 0.
      first_steps: steps of round 0 (the undefended classifier) of such a game; 0: like `steps`.
      batch_size: examples in one global batch, over all replicas. > 0.
      learning_rate: Adam's rate, the peak where it varies. > 0.
      warmup_steps: steps over which the rate climbs linearly from 0. >= 0.
      decay: `constant`, or `cosine` down to 0 at the last step.
    """

    steps: int
    first_steps: int = 0
    batch_size: int = 128
    learning_rate: float = 1e-4
    warmup_steps: int = 0
    decay: str = "constant"

    def __post_init__(self):
        require(self.steps > 0, "steps > 0", self.steps)
        require(self.first_steps >= 0, "first_steps >= 0", self.first_steps)
        require(self.batch_size > 0, "batch_size > 0", self.batch_size)
        require(_positive(self.learning_rate), "learning_rate > 0 and finite", self.learning_rate)
        require(self.warmup_steps >= 0, "warmup_steps >= 0", self.warmup_steps)
        require_choice("decay", self.decay, DECAYS)

    def round_lengths(self, rounds: int) -> list[int]:
        """Steps of rounds 0, 1, ..., `rounds`; a game without rounds has round 0 alone."""
        return [self.first_steps or self.steps] + [self.steps] * rounds

    def total_steps(self, rounds: int) -> int:
        """Steps of rounds 0 to `rounds` together."""
        return sum(self.round_lengths(rounds))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides the outcome of one run of `mmtf.run`, and nothing else.

    Attributes:
      game: name of a game in `mmtf.games`.
      dataset: `mnist`, `cifar10`, `digits` or another image-classification dataset of TFDS.
      eta: radius of the attack on the [-1, 1] scale of the pixels (Eq. 5). > 0.
      norm: `linf` or `l2`, the p of ||z - x||_p <= eta.
      game_options: all keyword arguments of the game (`registry.resolve_kwargs`) but those
        that `as_before` leaves out.
      net: name of a net in `mmtf.nets`.
      net_options: keyword arguments of the net, all but image_shape, num_classes and seed.
      schedule_name: which preset `schedule` started from.
      schedule: the steps, batch size and learning rate in force.
      precision: `float32` or `bfloat16` for training, or `auto`; evaluation is always float32.
      jit_compile: whether XLA compiles the training steps, which draws other random numbers; None:
        of a long run on a single GPU (`mmtf.runtime.devices.resolve_jit`).
      attacks: attacks of the final table, in its order.
      pgd_steps, pgd_restarts: of the table's PGD.
      max_examples: test examples used for the table, 0 for all.
      seed: of the initializer, the batches, dropout and random starts.
    """

    game: str = "minimax_grad"
    dataset: str = "mnist"
    eta: float = 0.3
    norm: str = "linf"
    game_options: dict = dataclasses.field(default_factory=dict)
    net: str = "mnist_cnn"
    net_options: dict = dataclasses.field(default_factory=dict)
    schedule_name: str = "fast"
    schedule: Schedule = dataclasses.field(default_factory=lambda: Schedule(steps=1))
    precision: str = "auto"
    jit_compile: bool | None = None
    attacks: tuple[str, ...] = ("none", "fgsm", "ifgsm", "pgd")
    pgd_steps: int = 40
    pgd_restarts: int = 2
    max_examples: int = 0
    seed: int = 0

    def __post_init__(self):
        require(_positive(self.eta), "eta > 0 and finite (pixels lie in [-1, 1])", self.eta)
        require(self.pgd_steps > 0, "pgd_steps > 0", self.pgd_steps)
        require(self.pgd_restarts > 0, "pgd_restarts > 0", self.pgd_restarts)
        require(self.max_examples >= 0, "max_examples >= 0 (0: all)", self.max_examples)
        require(0 <= self.seed < 2**31, "seed in [0, 2^31)", self.seed)
        require_choice("norm", self.norm, NORMS)
        require(bool(self.attacks), "at least one attack for the table", self.attacks)
        require_choice("precision", self.precision, PRECISIONS)
        require_choice("schedule", self.schedule_name, SCHEDULES)

    def to_dict(self) -> dict:
        """Plain JSON types only; `from_dict` is the inverse."""
        as_dict = dataclasses.asdict(self)
        as_dict["attacks"] = list(self.attacks)
        if self.jit_compile is None:
            del as_dict["jit_compile"]  # configs from before there was a choice stay what they are
        return as_dict

    @classmethod
    def from_dict(cls, values: dict) -> "RunConfig":
        """The config that `to_dict` wrote; unknown or missing names raise ConfigError."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {"jit_compile": None, **values}
        require(set(values) == known, f"exactly the settings {sorted(known)}", sorted(values))
        fields = {field.name for field in dataclasses.fields(Schedule)}
        given = values["schedule"]
        require(set(given) == fields, f"exactly the schedule {sorted(fields)}", sorted(given))
        schedule = Schedule(**given)
        return cls(**{**values, "schedule": schedule, "attacks": tuple(values["attacks"])})


def as_before(options: dict) -> dict:
    """Without options that say what every run did before they came: what was begun then goes on.

    Example:
      >>> as_before({"gamma": 1.0, "penalty_every": 1}), as_before({"penalty_every": 2})
      ({'gamma': 1.0}, {'penalty_every': 2})
    """
    return {name: one for name, one in options.items() if name not in BEFORE or one != BEFORE[name]}


def differences(ours: dict, theirs: dict, prefix: str = "") -> list[str]:
    """Lines 'name: theirs -> ours' for every setting in which two config dicts differ."""
    lines = []
    for name in sorted(set(ours) | set(theirs)):
        a, b = ours.get(name, "(absent)"), theirs.get(name, "(absent)")
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            lines.append(f"{prefix}{name}: {b!r} -> {a!r}")
    return lines


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
