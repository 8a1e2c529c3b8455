"""The content of record.json, the record of a finished run."""

import dataclasses
from typing import Any

from mmtf.config import RunConfig
from mmtf.data.dataset import Dataset
from mmtf.radius import radius_entry
from mmtf.reports import paper_figure
from mmtf.storage.files import FORMAT
from mmtf.storage.provenance import provenance


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A finished run: its configuration, results, environment and speed.

    Attributes:
      config: the run's configuration.
      dataset: the data that the run used.
      notice: a remark on the data for the reader, "" for none.
      precision: dtype policy of training and of the attacks, such as `bfloat16`.
      jit_compile: whether XLA compiled the training steps.
      replicas, workers: numbers of devices and of processes that shared each batch.
      results: a dict for each attack, see `result_of`.
      steps: total number of training steps.
      seconds: duration of training.
      images_per_second: training throughput, None where too few steps were timed.
      processor_seconds_per_step: of all cores of the chief's process, None likewise.
      curve: test errors during training, a dict for each point.
      rounds: errors of every round's classifier under every round's FGSM, None for a game without
        rounds.
      weights: which weights were evaluated and exported; "": those after the last step.
      checks: accuracies under PGD during training, None if none were measured.
      seconds_in_last_process: from the start of the last process to its final table.
    """

    config: RunConfig
    dataset: Dataset
    notice: str
    precision: str
    jit_compile: bool
    replicas: int
    workers: int
    results: list[dict[str, Any]]
    steps: int
    seconds: float
    images_per_second: float | None
    processor_seconds_per_step: float | None
    curve: list[dict[str, Any]]
    rounds: list[dict[str, Any]] | None
    seconds_in_last_process: float
    weights: str = ""
    checks: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as JSON types, with this process's versions, hardware and commit."""
        pace, names = self.images_per_second, self.dataset.class_names
        processor = self.processor_seconds_per_step
        record = {
            "format": FORMAT,
            "config": self.config.to_dict(),
            "dataset": {
                "name": self.dataset.name,
                "note": self.dataset.note,
                "notice": self.notice,
                "train": len(self.dataset.train_images),
                "test": len(self.dataset.test_images),
                **({"class_names": list(names)} if names else {}),
            },
            "seeds": [self.config.seed],
            "precision": {
                "training": self.precision,
                "attacks": self.precision,
                "evaluation": "float32",
            },
            "jit_compile": self.jit_compile,
            "replicas": self.replicas,
            "workers": self.workers,
            "results": self.results,
            "training": {
                "steps": self.steps,
                "seconds": round(self.seconds, 2),
                "images_per_second": pace and round(pace, 1),
                "processor_seconds_per_step": processor and round(processor, 6),
                **({"weights": self.weights} if self.weights else {}),
                **({"checks": self.checks} if self.checks else {}),
            },
            "curve": self.curve,
            "seconds_in_last_process": round(self.seconds_in_last_process, 2),
            **provenance(),
        }
        return record if self.rounds is None else {**record, "rounds": self.rounds}


def result_of(measured: dict[str, Any], config: RunConfig, eta: Any = None) -> dict[str, Any]:
    """Returns a row of the final table: the measurement, its radius and the paper's error.

    Args:
      measured: a result's dict, with `attack`, `error` (0 to 1) and its interval.
      config: the run's configuration.
      eta: radius of the attack's ball; None: that of the configuration.
    """
    return {
        **measured,
        "eta": radius_entry(config.eta if eta is None else eta),
        "paper": _paper_figure(measured["attack"], config),
    }


def _paper_figure(attack: str, config: RunConfig) -> float | None:
    # Not comparable with the paper: its `worst` is over other attacks, its attack network differs
    # from our strongest one, and finite differences are another regularizer than Eq. 8's.
    if config.norm != "linf" or attack in ("worst", "attnet_curr"):
        return None
    if config.game_options.get("penalty") == "finite_difference":
        return None
    game = config.game
    if game == "adv_fgsm":
        game = f"adv_fgsm{config.game_options['rounds']}"
    column = attack.replace("attnet_paper_curr", "attnet_curr")
    return paper_figure(config.dataset, config.eta, game, column)
