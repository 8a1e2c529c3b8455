"""`Schedule`: steps, learning rate and the options of training that every game takes.

This module does not import TensorFlow.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from mmtf.errors import (
    ConfigError,
    require,
    require_choice,
    require_int,
    require_number,
    require_same_names,
)

DECAYS = ("constant", "cosine")
AUGMENTATIONS = ("crop", "flip", "affine")
REACTIONS = ("warn", "stop", "restore", "switch")
EXTRA_SHARE = 0.5
# Fields added after 0.1, with the value that reproduces runs of 0.1.
ADDED_FIELDS: dict[str, Any] = {
    "eta_ramp": 0.0,
    "ema": 0.0,
    "label_smoothing": 0.0,
    "augment": (),
    "extra_data": "",
    "extra_share": EXTRA_SHARE,
    "holdout": 0,
    "check_every": 0,
    "patience": 0,
    "on_collapse": "warn",
}


def setting(
    default: Any, about: str, *, choices: Iterable[str] = (), by_preset: bool = False
) -> Any:
    """A dataclass field with the help text of its command-line flag.

    Args:
      default: default of the field; `dataclasses.MISSING` for a required field.
      about: help text, one sentence.
      choices: allowed values, listed in the help text; empty: any value.
      by_preset: whether `mmtf.presets` gives the default of the flag, in place of `default`.
    """
    about = f"{about} One of: {', '.join(choices)}." if choices else about
    metadata = {"about": about, "by_preset": by_preset}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _option(name: str, about: str, *, choices: Iterable[str] = ()) -> Any:
    """A field of ADDED_FIELDS with the default given there."""
    return setting(ADDED_FIELDS[name], about, choices=choices, by_preset=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Number of training steps, batch size and learning rate; the optimizer is Adam (App. A).

    docs/training_options.md explains the options from `ema` on.

    Attributes:
      steps: steps of the defender, > 0: the total, or per round in a game of several rounds.
      first_steps: steps of round 0 in a game of several rounds (the undefended classifier of
        `adv_fgsm`, the teacher, the first static net, the PGD training of `pgd_mtl_ibp`); 0: as
        many as `steps`.
      batch_size: examples per step, summed over all replicas, > 0.
      learning_rate: Adam's learning rate, > 0; with warm-up or decay its largest value.
      warmup_steps: steps over which the learning rate rises linearly from 0, >= 0.
      decay: `constant`, or `cosine`: half a cosine, which would reach 0 one step after
        the last.
      eta_ramp: share of the steps of a round, in [0, 1], over which the attacker's radius rises
        linearly from 0 to eta; 0: it is eta from the first step.
      ema: decay of a moving average of the classifier's weights, in [0, 1): after each step the
        average a of weights w becomes ema a + (1 - ema) w. The average is what is evaluated,
        exported and measured during training. 0: no average.
      label_smoothing: a in [0, 1): the loss of the min step is the cross-entropy with 1 - a times
        the label plus a / C for each of the C classes. The attacker keeps the labels.
      augment: `crop` (a random shift of up to an eighth of the side, with reflected borders),
        `flip` (half of the images are mirrored left to right) and `affine` (a small random
        rotation, shear, scaling and shift, see `mmtf.data.augmentation`), of training images.
      extra_data: name of a dataset, as in `mmtf.load_data`, whose training split is trained on as
        well; "": none.
      extra_share: share of every batch that is drawn from `extra_data`, in (0, 1).
      holdout: number of training images that are held out, >= 0. The accuracy under PGD on them is
        measured during training, and the weights of the best measurement are the result, in a game
        in rounds of those in the last round. 0: none is held out, and the last weights are the
        result.
      check_every: steps between two measurements of the accuracy under PGD, >= 0. 0: a tenth of the
        steps with `holdout`; otherwise, in single-step games, so many that the measurements on 200
        training images cost at most 3 % of the computation.
      patience: training ends after so many measurements without a new best one, >= 0; 0: it does
        not end early. It requires `holdout`.
      on_collapse: what follows catastrophic overfitting of a single-step game
        (`mmtf.training.watch`): `warn` says it; `stop` ends training with the best weights before;
        `restore` returns to these and goes on with half the learning rate; `switch` goes on with
        the several attack steps of `adv_pgd`.

    Raises:
      ConfigError: a value out of range.
    """

    steps: int = setting(
        dataclasses.MISSING,
        "Number of training steps; in a game of several rounds, of each round after round 0.",
        by_preset=True,
    )
    first_steps: int = setting(
        0, "Number of training steps of round 0 in a game of several rounds.", by_preset=True
    )
    batch_size: int = setting(
        128, "Training examples per step, summed over all replicas.", by_preset=True
    )
    learning_rate: float = setting(
        1e-4, "Adam's learning rate; with warm-up or decay, its largest value.", by_preset=True
    )
    warmup_steps: int = setting(
        0, "Steps over which the learning rate rises linearly from 0.", by_preset=True
    )
    decay: str = setting(
        "constant", "Decay of the learning rate after warm-up.", choices=DECAYS, by_preset=True
    )
    eta_ramp: float = _option(
        "eta_ramp", "Share of the steps over which the radius of the attack rises from 0."
    )
    ema: float = _option(
        "ema", "Decay of a moving average of the weights, which is evaluated; default: none."
    )
    label_smoothing: float = _option(
        "label_smoothing", "Share of the label given to all classes in the loss of the defender."
    )
    augment: tuple[str, ...] = _option(
        "augment", f"Random changes of training images, of: {', '.join(AUGMENTATIONS)}"
    )
    extra_data: str = _option(
        "extra_data", "Dataset to train on as well, such as npz:PATH; default: none."
    )
    extra_share: float = _option(
        "extra_share", f"Share of --extra_data in every batch; default {EXTRA_SHARE}."
    )
    holdout: int = _option(
        "holdout", "Number of training images held out to choose the weights by PGD; default: none."
    )
    check_every: int = _option(
        "check_every", "Steps between two measurements of PGD during training; default: by cost."
    )
    patience: int = _option(
        "patience", "Measurements without a new best one after which training ends (--holdout)."
    )
    on_collapse: str = _option(
        "on_collapse",
        "What follows catastrophic overfitting of a single-step game; default: warn.",
        choices=REACTIONS,
    )

    def __post_init__(self) -> None:
        require_int("steps", self.steps)
        require_int("first_steps", self.first_steps, at_least=0)
        require_int("batch_size", self.batch_size)
        require_number("learning_rate", self.learning_rate, above=0)
        require_int("warmup_steps", self.warmup_steps, at_least=0)
        require_choice("decay", self.decay, DECAYS)
        require_number("eta_ramp", self.eta_ramp, at_least=0, at_most=1)
        require_number("ema", self.ema, at_least=0, below=1)
        require_number("label_smoothing", self.label_smoothing, at_least=0, below=1)
        require_number("extra_share", self.extra_share, above=0, below=1)
        for name in ("holdout", "check_every", "patience"):
            require_int(name, getattr(self, name), at_least=0)
        require_choice("on_collapse", self.on_collapse, REACTIONS)
        require(isinstance(self.extra_data, str), "extra_data as a text", self.extra_data)
        given = isinstance(self.augment, str | list | tuple)
        require(given, "augment as a list of names", self.augment)
        words = (self.augment,) if isinstance(self.augment, str) else tuple(self.augment)
        object.__setattr__(self, "augment", words)
        for word in words:
            require_choice("augment", word, AUGMENTATIONS)
        require(len(set(words)) == len(words), "each of augment once", words)
        if self.patience and not self.holdout:
            raise ConfigError(
                "Expected patience with holdout, the images that are measured. Received: "
                f"patience={self.patience} without."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Schedule":
        """The schedule that `to_dict` converted to `values`.

        Raises:
          ConfigError: a setting is unknown or missing, or a value is out of range.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        require(isinstance(values, Mapping), "the settings of a schedule as a dict", values)
        given = {**ADDED_FIELDS, **values}
        require_same_names("of a schedule", given, fields)
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types, without those of ADDED_FIELDS that have the value there.

        So it is equal to the dict of the same schedule from before these fields existed.

        Example:
          >>> Schedule(steps=5, ema=0.9).to_dict()["ema"], "eta_ramp" in Schedule(steps=5).to_dict()
          (0.9, False)
        """
        values = dataclasses.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if name not in ADDED_FIELDS or value != ADDED_FIELDS[name]
        }

    def round_lengths(self, rounds: int) -> list[int]:
        """Number of steps of each round from 0 to `rounds` (0 in a game without rounds).

        Example:
          >>> Schedule(steps=5, first_steps=9).round_lengths(2)
          [9, 5, 5]
        """
        return [self.first_steps or self.steps] + [self.steps] * rounds

    def total_steps(self, rounds: int) -> int:
        """Total number of steps of the rounds 0 to `rounds`."""
        return sum(self.round_lengths(rounds))
