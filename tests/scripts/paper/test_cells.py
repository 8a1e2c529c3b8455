"""Cells have a file, tracks a name, and bits a text."""

import numpy as np
import pytest

from mmtf.errors import ConfigError
from scripts.paper.cells import Cell, Track, pack, unpack, unpack_bits


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


@pytest.mark.parametrize("n", [1, 8, 1001])
def test_what_is_packed_is_unpacked(n, rng):
    wrong = rng.random(n) < 0.3
    np.testing.assert_array_equal(unpack_bits(pack(wrong), n), wrong)
    images = rng.integers(0, 256, n).astype(np.uint8)
    np.testing.assert_array_equal(unpack(pack(images)), images)


def test_a_mask_of_few_errors_is_small():
    wrong = np.zeros(10_000, bool)
    wrong[::150] = True
    assert len(pack(wrong)) < 400
