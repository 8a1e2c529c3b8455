"""Tables as they are printed."""

from mmtf.reports import result_table, rounds_table

COLUMNS = ["attack", "test error (robust accuracy)", "95% interval", "n", "paper"]
RESULTS = [
    {"attack": "none", "error": 0.0066, "ci_low": 0.0052, "ci_high": 0.00839, "n": 10_000},
    {"attack": "fgsm_curr", "error": 0.25, "ci_low": 0.2, "ci_high": 0.3, "n": 40, "paper": 0.036},
    {"attack": "worst", "error": 1.0, "ci_low": 0.9, "ci_high": 1.0, "n": 40, "paper": None},
    {"attack": "other", "error": 0.0, "ci_low": 0.0, "ci_high": 0.1, "n": 40, "paper": 0.0},
]


def test_result_table():
    table = result_table(RESULTS)
    assert list(table.columns) == COLUMNS
    assert table.values.tolist() == [
        ["none", "0.0066 (99.3 %)", "[0.0052, 0.0084]", 10_000, ""],
        ["fgsm_curr", "0.2500 (75.0 %)", "[0.2000, 0.3000]", 40, "0.036"],
        ["worst", "1.0000 (0.0 %)", "[0.9000, 1.0000]", 40, ""],
        ["other", "0.0000 (100.0 %)", "[0.0000, 0.1000]", 40, "0.000"],
    ]


def test_an_empty_table_has_its_columns():
    # Without a figure of the paper there is no column for one.
    assert list(result_table([]).columns) == COLUMNS[:-1]


def test_rounds_table():
    cells = [
        {"defense": "no_defense", "attack": "none", "error": 0.02},
        {"defense": "no_defense", "attack": "fgsm1", "error": 0.5},
        {"defense": "adv_fgsm3", "attack": "fgsm1", "error": 0.125},
        {"defense": "adv_fgsm3", "attack": "none", "error": 0.01},
    ]
    table = rounds_table(cells, "mnist", 0.1)
    assert list(table.index) == ["no_defense", "adv_fgsm3"]
    assert table.loc["no_defense"].to_dict() == {
        "none": "0.0200 (98.0 %) paper 0.026",
        "fgsm1": "0.5000 (50.0 %) paper 0.446",
    }
    assert table.loc["adv_fgsm3"].to_dict() == {
        "none": "0.0100 (99.0 %)",
        "fgsm1": "0.1250 (87.5 %)",
    }
