"""One measured number of the paper's tables and figures: which it is, and its record's file."""

import dataclasses
import os

from mmtf.config import INITIALIZERS, SCHEDULES
from mmtf.errors import require_choice


@dataclasses.dataclass(frozen=True, order=True)
class Track:
    """What the cells of one column of measured numbers have in common.

    Attributes:
      dataset: its name.
      init: how the classifiers' weights begin: `keras`, or the paper's `tutorial`.
      schedule: `fast` or `paper`.
    """

    dataset: str
    init: str = "keras"
    schedule: str = "fast"

    def __post_init__(self) -> None:
        require_choice("init", self.init, INITIALIZERS)
        require_choice("schedule", self.schedule, SCHEDULES)

    def __str__(self) -> str:
        return f"{self.dataset}-{self.init}-{self.schedule}"

    @classmethod
    def parse(cls, name: str) -> "Track":
        """The track whose str is `name`."""
        return cls(*name.rsplit("-", 2))


@dataclasses.dataclass(frozen=True, order=True)
class Cell:
    """The error of one defense under one attack, or another measurement of the same players.

    Attributes:
      track, eta, seed: of the run.
      defense: in the paper's words: `no_defense`, `adv_fgsm80`, `minimax_grad`, ...
      attack: `none`, `fgsm1`, `fgsm_curr`, `attnet_paper_curr`, ...; `curve` for test errors
        during training (Figures 1, 2, 4, 5), `images` for adversarial images (Figure 3).
    """

    track: Track
    eta: float
    defense: str
    attack: str
    seed: int = 0

    def path(self, root: str) -> str:
        """The file under `root` with its record, one line of it."""
        return os.path.join(root, str(self.track), f"eta{self.eta:g}.jsonl")


def is_mixed(records: list[dict]) -> bool:
    """Whether a row's records of one seed stand on different trainings of a run.

    By the fingerprints of all runs that they name, and by the seconds of the row's own training,
    which records from before there were fingerprints have, too.
    """
    seen: dict[tuple, set] = {}
    for one in records:
        seen.setdefault((one["seed"],), set()).add(one["training"]["seconds"])
        for player, run in zip(one.get("players", ()), one.get("runs", ()), strict=False):
            seen.setdefault((one["seed"], player), set()).add(run)
    return any(len(trainings) > 1 for trainings in seen.values())
