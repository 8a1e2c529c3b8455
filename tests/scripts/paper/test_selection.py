"""Which cells the tables and figures ask for."""

import pytest

from mmtf.errors import ConfigError
from scripts.paper.selection import FIGURES, select
from scripts.paper.tables import TABLES


def names(cells):
    return {(cell.eta, cell.defense, cell.attack) for cell in cells}


def test_table_1_at_one_radius():
    cells = select(tables=[1], etas=[0.3])
    wanted = {"none", "fgsm_curr", "pgd_curr", "autoattack_curr"}
    assert names(cells) == {(0.3, "no_defense", attack) for attack in wanted}
    assert {str(cell.track) for cell in cells} == {"mnist-keras-fast"}


def test_a_cell_of_several_tables_is_one():
    both = select(tables=[3, 4, 5], etas=[0.3])
    assert len(both) == len(names(both))
    grad = {attack for _, defense, attack in names(both) if defense == "minimax_grad"}
    assert grad == {
        *("none", "fgsm1", "fgsm2", "fgsm80", "fgsm_curr", "attnet_paper_curr", "attnet_curr"),
        *("pgd_curr", "autoattack_curr"),
    }


def test_filters_seeds_and_recipes():
    cells = select(
        tables=[3], inits=["keras", "tutorial"], seeds=2, defenses=["lwa"], attacks=["none"]
    )
    assert len(cells) == 2 * 2 * 4


@pytest.mark.parametrize("mistake", [{"etas": [0.15]}, {"defenses": ["x"]}, {"attacks": ["fgsm"]}])
def test_what_no_table_has_is_refused(mistake):
    with pytest.raises(ConfigError, match=next(iter(mistake))):
        select(tables=[3], **mistake)


def test_network_games_are_also_measured_where_they_end():
    found = names(select(figures=[2], etas=[0.3]))
    assert (0.3, "alt_attnet", "attnet_met") in found and len(found) == 6


def test_figures_ask_for_curves_and_images():
    assert names(select(figures=[1])) == {
        (eta, "minimax_grad", "curve") for eta in (0.1, 0.2, 0.3, 0.4)
    }
    assert names(select(figures=[3])) == {(0.2, "gallery", "images")}


def test_a_radius_is_complete_before_the_next_and_mnist_before_cifar():
    cells = select(tables=TABLES, figures=FIGURES)
    order = list(dict.fromkeys((cell.track.dataset, cell.eta) for cell in cells))
    assert order == [("mnist", eta) for eta in (0.1, 0.2, 0.3, 0.4)] + [
        ("cifar10", eta) for eta in (0.05, 0.06, 0.07, 0.08)
    ]


def test_another_dataset_for_trials():
    assert {cell.track.dataset for cell in select(tables=[1], dataset="digits")} == {"digits"}
