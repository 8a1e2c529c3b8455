"""Records of figures that a test chooses, under a folder of its own."""

import numpy as np
import pytest

from mmtf.reports import write_json
from mmtf.stats.packed_bits import pack
from scripts.paper.cells import Cell, Results, Track


@pytest.fixture
def keep(tmp_path):
    """keep(eta, defense, attack, error, ...): writes a cell's record; keep.results reads them."""

    def write(eta, defense, attack, error, *, n=10_000, seed=0, track="mnist-keras-fast", **more):
        count = round(error * n)
        wrong = np.arange(n) < count
        cell = Cell(Track.parse(track), eta, defense, attack, seed)
        half = 1.96 * (error * (1 - error) / n) ** 0.5
        record = {
            "eta": eta,
            "defense": defense,
            "attack": attack,
            "seed": seed,
            "error": error,
            "ci_low": max(0.0, error - half),
            "ci_high": min(1.0, error + half),
            "n": n,
            "wrong": pack(wrong),
            "settings": {"examples": n},
            "rounds": 80,
            "training": {"steps": 100, "seconds": 1.0},
            **more,
        }
        path = tmp_path / cell.path("")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(str(path), record)
        return cell

    write.results = Results(str(tmp_path))
    write.root = str(tmp_path)
    return write
