"""Records are found by what they are."""

import pytest

from mmtf.errors import ConfigError
from scripts.paper.cells import Cell, Results, Track


def test_a_cells_place():
    cell = Cell(Track("mnist", "tutorial", "paper"), 0.3, "lwa", "fgsm1", 2)
    assert cell.path("root") == "root/mnist-tutorial-paper/eta0.3/lwa/fgsm1-seed2.json"
    assert cell.read("nowhere") is None


@pytest.mark.parametrize("track", [Track("mnist"), Track("a-b", "tutorial", "paper")])
def test_a_track_is_read_back_from_its_name(track):
    assert Track.parse(str(track)) == track


def test_unknown_tracks_are_refused():
    with pytest.raises(ConfigError, match="init"):
        Track("mnist", "zeros")
    with pytest.raises(ConfigError, match="schedule"):
        Track("mnist", "keras", "slow")


def test_results_find_every_seed_and_no_other_cell(keep):
    for seed in (10, 0, 2):
        keep(0.3, "lwa", "fgsm1", 0.1, seed=seed)
    keep(0.3, "lwa", "fgsm_curr", 0.2)
    keep(0.1, "lwa", "fgsm1", 0.3)
    found = keep.results.of(Track("mnist"), 0.3, "lwa", "fgsm1")
    assert [one["seed"] for one in found] == [0, 2, 10]
    assert keep.results.of(Track("mnist"), 0.3, "adv_fgsm1", "fgsm1") == []


def test_tracks_are_those_with_records(keep, tmp_path):
    assert Results(str(tmp_path / "nothing")).tracks() == []
    keep(0.3, "lwa", "none", 0.1)
    keep(0.3, "lwa", "none", 0.1, track="cifar10-tutorial-paper")
    (tmp_path / "stray.txt").write_text("")
    assert [str(one) for one in keep.results.tracks()] == [
        "mnist-keras-fast",
        "cifar10-tutorial-paper",
    ]
