"""What record.json says of a finished run."""

import dataclasses
from typing import Any

from mmtf.config import RunConfig
from mmtf.data.dataset import Dataset
from mmtf.reports import paper_figure
from mmtf.storage.files import FORMAT
from mmtf.storage.provenance import provenance


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A finished run: what it was, what it measured, where and how fast.

    Attributes:
      config: the run's.
      dataset: that was played on.
      notice: what the reader must know of the data; "" for nothing.
      precision: that training computed in.
      jit_compile: whether XLA compiled the training steps.
      replicas, workers: among which batches were divided.
      results: a dict for each attack, see `result_of`.
      steps: training steps in all.
      seconds: of training.
      images_per_second: of training, None where there was nothing to measure.
      curve: test errors against steps, a dict for each point.
      rounds: the cat-and-mouse matrix of a game in rounds, else None.
      seconds_in_last_process: from the start of the last process to its table.
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
    curve: list[dict[str, Any]]
    rounds: list[dict[str, Any]] | None
    seconds_in_last_process: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with versions, hardware and commit of this process."""
        pace = self.images_per_second
        record = {
            "format": FORMAT,
            "config": self.config.to_dict(),
            "dataset": {
                "name": self.dataset.name,
                "note": self.dataset.note,
                "notice": self.notice,
                "train": len(self.dataset.train_images),
                "test": len(self.dataset.test_images),
            },
            "seeds": [self.config.seed],
            "precision": {"training": self.precision, "evaluation": "float32"},
            "jit_compile": self.jit_compile,
            "replicas": self.replicas,
            "workers": self.workers,
            "results": self.results,
            "training": {
                "steps": self.steps,
                "seconds": round(self.seconds, 2),
                "images_per_second": pace and round(pace, 1),
            },
            "curve": self.curve,
            "seconds_in_last_process": round(self.seconds_in_last_process, 2),
            **provenance(),
        }
        return record if self.rounds is None else {**record, "rounds": self.rounds}


def result_of(measured: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    """A row of the final table: what was measured, its radius and the paper's figure beside it.

    Args:
      measured: `attack`, `error` and what belongs to it.
      config: of the run.
    """
    return {**measured, "eta": config.eta, "paper": _paper_figure(measured["attack"], config)}


def _paper_figure(attack: str, config: RunConfig) -> float | None:
    # The paper's `worst` is over other attacks than ours, its attack network is not our strongest
    # one, and differences are another regularizer than Eq. 8's: no figures to stand beside.
    if config.norm != "linf" or attack in ("worst", "attnet_curr"):
        return None
    if config.game_options.get("penalty") == "finite_difference":
        return None
    game = config.game
    if game == "adv_fgsm":
        game = f"adv_fgsm{config.game_options['rounds']}"
    column = attack.replace("attnet_paper_curr", "attnet_curr")
    return paper_figure(config.dataset, config.eta, game, column)
