"""Cells have a file, tracks a name, and bits a text."""

import pytest

from mmtf.errors import ConfigError
from scripts.paper.cells import Cell, Track


def test_a_cells_place():
    cell = Cell(Track("mnist", "tutorial", "paper"), 0.3, "lwa", "fgsm1", 2)
    assert cell.path("root") == "root/mnist-tutorial-paper/eta0.3.jsonl"


@pytest.mark.parametrize("track", [Track("mnist"), Track("a-b", "tutorial", "paper")])
def test_a_track_is_read_back_from_its_name(track):
    assert Track.parse(str(track)) == track


def test_unknown_tracks_are_refused():
    with pytest.raises(ConfigError, match="init"):
        Track("mnist", "zeros")
    with pytest.raises(ConfigError, match="schedule"):
        Track("mnist", "keras", "slow")
