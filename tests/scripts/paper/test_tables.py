"""The paper's tables as data, against its text."""

import pytest

from mmtf.errors import ConfigError
from scripts.paper.tables import TABLES, errata, paper_table


def test_every_table_is_complete():
    for number in TABLES:
        table = paper_table(number)
        for eta in table.etas:
            for defense in table.defenses:
                for column in table.columns:
                    assert table.reported(eta, defense, column) is not None


def test_table_3_has_its_columns_and_the_stronger_ones():
    table = paper_table(3)
    assert table.columns == ("none", "fgsm1", "fgsm2", "fgsm80", "fgsm_curr", "worst")
    assert table.attacks == table.columns[:-1]
    assert table.extras == ("pgd_curr", "autoattack_curr")
    assert table.reported(0.4, "lwa", "worst") == 0.355


def test_attnet_is_measured_by_the_papers_network_and_the_strongest():
    table = paper_table(5)
    assert table.attacks == ("fgsm_curr", "attnet_paper_curr")
    assert table.extras == ("attnet_curr", "pgd_curr", "autoattack_curr")


def test_a_cell_without_a_radius_holds_for_all():
    assert {paper_table(1).reported(eta, "no_defense", "none") for eta in (0.1, 0.4)} == {0.026}


def test_no_such_table():
    with pytest.raises(ConfigError, match="table"):
        paper_table(11)


def test_the_known_errata_are_found():
    found = {(e["table"], e["eta"], e["defense"], e["attack"]): e for e in errata()}
    slip = found[4, 0.3, "adv_fgsm80", "fgsm_curr"]
    assert (slip["printed"], slip["other"], slip["why"]) == (0.352, 0.043, "Table 3")
    assert found[4, 0.1, "adv_fgsm80", "worst"]["other"] == 0.786
    assert found[10, 0.07, "alt_attnet", "worst"]["other"] == 0.743
    # Table 9's columns slid: its `worst` of that row, .790, is right.
    row = {attack: found.get((9, 0.06, "no_defense", attack)) for attack in slid_columns()}
    assert (row["fgsm_curr"]["printed"], row["fgsm_curr"]["other"]) == (0.583, 0.790)
    assert (row["attnet_curr"]["printed"], row["attnet_curr"]["other"]) == (0.766, 0.583)
    assert row["worst"] is None
    # FGSM2 is FGSM-curr of Adv FGSM1: Table 3 has .404 and .435.
    assert found[3, 0.1, "adv_fgsm1", "fgsm2"]["other"] == 0.435
    assert [key for key in found if key[0] in (1, 2, 3, 6, 7)] == [(3, 0.1, "adv_fgsm1", "fgsm2")]


def slid_columns():
    return paper_table(9).columns
