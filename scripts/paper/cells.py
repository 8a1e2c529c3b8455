"""One measured figure: which it is, and where its record lies."""

import dataclasses
import glob
import os

from mmtf.config import INITIALIZERS, SCHEDULES
from mmtf.errors import require_choice
from mmtf.storage.files import read_json


@dataclasses.dataclass(frozen=True, order=True)
class Track:
    """What one column of measured figures has in common.

    Attributes:
      dataset: its name.
      init: how the classifiers' weights begin: `keras`, or the paper's `tutorial`.
      schedule: `fast` or `paper`.
    """

    dataset: str
    init: str = "keras"
    schedule: str = "fast"

    def __post_init__(self):
        require_choice("init", self.init, INITIALIZERS)
        require_choice("schedule", self.schedule, SCHEDULES)

    def __str__(self):
        return f"{self.dataset}-{self.init}-{self.schedule}"

    @classmethod
    def parse(cls, name: str) -> "Track":
        """The track whose str is `name`."""
        return cls(*name.rsplit("-", 2))


@dataclasses.dataclass(frozen=True, order=True)
class Cell:
    """The error of one defense under one attack, or another figure of the same players.

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
        """Where its record lies under `root`."""
        name = f"{self.attack}-seed{self.seed}.json"
        return os.path.join(root, str(self.track), f"eta{self.eta:g}", self.defense, name)

    def read(self, root: str) -> dict | None:
        """Its record, None where there is none."""
        path = self.path(root)
        return read_json(path) if os.path.exists(path) else None


class Results:
    """The records under a folder, each read once."""

    def __init__(self, root: str):
        self.root = root
        self._read: dict[str, dict] = {}

    def tracks(self) -> list[Track]:
        """Those with any record, CIFAR-10's last as in the paper."""
        names = os.listdir(self.root) if os.path.isdir(self.root) else []
        folders = [name for name in sorted(names) if name.count("-") >= 2]
        tracks = [Track.parse(name) for name in folders if any(os.scandir(f"{self.root}/{name}"))]
        return sorted(tracks, key=lambda track: track.dataset == "cifar10")

    def of(self, track: Track, eta: float, defense: str, attack: str) -> list[dict]:
        """The records of a cell over all seeds, in their order."""
        pattern = Cell(track, eta, defense, attack).path(glob.escape(self.root))
        paths = glob.glob(pattern.replace("-seed0.json", "-seed*.json"))
        records = [self._record(path) for path in paths]
        return sorted(records, key=lambda record: record["seed"])

    def at(self, track: Track, eta: float, seed: int) -> dict[Cell, dict]:
        """All the records of one track, radius and seed."""
        pattern = Cell(track, eta, "*", "*", seed).path(glob.escape(self.root))
        found = {}
        for path in sorted(glob.glob(pattern)):
            folder, name = os.path.split(path)
            attack = name.removesuffix(f"-seed{seed}.json")
            found[Cell(track, eta, os.path.basename(folder), attack, seed)] = self._record(path)
        return found

    def _record(self, path):
        if path not in self._read:
            self._read[path] = read_json(path)
        return self._read[path]


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
