"""Rows and columns of the tables, as rounds and runs."""

import pytest

from mmtf.errors import ConfigError
from scripts.paper.cells import Cell, Track
from scripts.paper.players import defender, games_of, replayed_round


def test_rounds_of_one_run():
    assert [defender(name, 80)[1] for name in ("no_defense", "adv_fgsm1", "adv_fgsm2")] == [0, 1, 2]
    assert defender("adv_fgsm80", 80) == ("adv_fgsm", 80)
    assert defender("adv_fgsm40", 12) == ("adv_fgsm", 12)
    assert defender("minimax_grad", 80) == ("minimax_grad", None)


def test_fgsm_k_is_made_on_the_round_before():
    rounds = [replayed_round(name, 80) for name in ("fgsm1", "fgsm2", "fgsm80")]
    assert rounds == [0, 1, 79]
    assert replayed_round("fgsm_curr", 80) is None


def test_what_a_cell_needs_trained():
    def games(defense, attack):
        return games_of(Cell(Track("mnist"), 0.3, defense, attack), 80)

    assert games("no_defense", "fgsm1") == ("adv_fgsm",)
    assert games("lwa", "fgsm1") == ("lwa", "adv_fgsm")
    assert games("lwa", "fgsm_curr") == ("lwa",)
    assert "maximin_attnet" in games("gallery", "images")


def test_no_such_row():
    with pytest.raises(ConfigError, match="row of the paper's tables"):
        defender("lwa2", 80)
