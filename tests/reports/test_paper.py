"""Cells of the paper's tables, read off its pages."""

import pytest

from mmtf.reports import paper_figure


@pytest.mark.parametrize("eta", [0.05, 0.1, 0.3, 7.0])
@pytest.mark.parametrize("name", ["undefended", "no_defense"])
def test_the_clean_error_has_no_eta(eta, name):
    assert paper_figure("mnist", eta, name, "none") == 0.026


# The rows of Table 3, eta 0.1 and 0.2: none, FGSM1, FGSM2, FGSM80, FGSM-curr, worst.
TABLE_3 = {
    (0.1, "undefended"): [0.026, 0.446, 0.073, 0.054, 0.446, 0.446],
    (0.1, "adv_fgsm1"): [0.008, 0.010, 0.404, 0.037, 0.435, 0.435],
    (0.1, "adv_fgsm80"): [0.007, 0.028, 0.018, 0.010, 0.117, 0.117],
    (0.1, "lwa"): [0.009, 0.044, 0.030, 0.022, 0.019, 0.044],
    (0.1, "minimax_grad"): [0.006, 0.014, 0.015, 0.014, 0.025, 0.025],
    (0.2, "adv_fgsm2"): [0.008, 0.904, 0.010, 0.082, 0.840, 0.904],
    (0.2, "lwa"): [0.007, 0.157, 0.034, 0.036, 0.026, 0.157],
    # Tables 4 and 5 print 0.085, the worst, under FGSM-curr: Table 3 goes first.
    (0.2, "minimax_grad"): [0.008, 0.082, 0.085, 0.049, 0.027, 0.085],
}
ATTACKS = ["none", "fgsm1", "fgsm2", "fgsm80", "fgsm_curr", "worst"]


@pytest.mark.parametrize("eta, defense", TABLE_3)
def test_table_3(eta, defense):
    row = [paper_figure("mnist", eta, defense, attack) for attack in ATTACKS]
    assert row == TABLE_3[eta, defense]


def test_table_1():
    row = [paper_figure("mnist", eta, "undefended", "fgsm_curr") for eta in (0.1, 0.2, 0.3, 0.4)]
    assert row == [0.446, 0.933, 0.983, 0.985]


def test_table_4():
    assert paper_figure("mnist", 0.3, "minimax_grad", "attnet_curr") == 1.0
    assert paper_figure("mnist", 0.1, "adv_fgsm80", "attnet_curr") == 0.786


def test_eta_may_be_a_sum_of_floats():
    assert paper_figure("mnist", 0.1 + 0.2, "undefended", "fgsm_curr") == 0.983


@pytest.mark.parametrize(
    "cell",
    [
        ("mnist", 0.25, "minimax_grad", "fgsm_curr"),
        ("mnist", 0.3, "minimax_grad", "pgd_curr"),
        ("mnist", 0.3, "adv_pgd", "fgsm_curr"),
        ("digits", 0.3, "minimax_grad", "fgsm_curr"),
        ("cifar10", 0.3, "undefended", "fgsm_curr"),
    ],
)
def test_a_missing_cell(cell):
    assert paper_figure(*cell) is None
