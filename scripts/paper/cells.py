"""Keys of measured numbers of the paper's tables and figures, and the files of their records."""

import dataclasses
import os

from mmtf.config import INITIALIZERS, SCHEDULES
from mmtf.errors import require_choice


@dataclasses.dataclass(frozen=True, order=True)
class Track:
    """Dataset, initializer and schedule, which cells of one rendered table share.

    Attributes:
      dataset: its name.
      init: initializer of the classifiers: `keras`, or the paper's `tutorial`.
      schedule: `fast`, `brief` or `paper`.
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
        """Returns the track whose str is `name`."""
        return cls(*name.rsplit("-", 2))


@dataclasses.dataclass(frozen=True, order=True)
class Cell:
    """The key of a measurement: one defense under one attack, or a curve or images of a run.

    Attributes:
      track, eta, seed: track, radius and seed of the run.
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
        """Returns the file under `root` that has the record as one of its lines."""
        return os.path.join(root, str(self.track), f"eta{self.eta:g}.jsonl")


def is_mixed(records: list[dict]) -> bool:
    """Whether records of one row and seed come from different trainings of the same run.

    Compares the fingerprints of the runs that the records name, and the seconds of the row's own
    training, which older records without fingerprints also have.

    Args:
      records: the records of one row.
    """
    seen: dict[tuple, set] = {}
    for one in records:
        seen.setdefault((one["seed"],), set()).add(one["training"]["seconds"])
        for player, run in zip(one.get("players", ()), one.get("runs", ()), strict=False):
            seen.setdefault((one["seed"], player), set()).add(run)
    return any(len(trainings) > 1 for trainings in seen.values())
