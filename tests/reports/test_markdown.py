"""Tables and blocks."""

import pytest

from mmtf.reports.markdown import games_table, markdown_table, matrix_table, replace_block


def test_table_and_matrix():
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    cells = [
        {"defense": "no_defense", "attack": "none", "error": 0.01},
        {"defense": "no_defense", "attack": "fgsm1", "error": 0.5},
    ]
    table = matrix_table(cells, lambda defense, attack: 0.026 if attack == "none" else None)
    assert table.splitlines()[-1] == "| no_defense | 0.0100 (0.026) | 0.5000 |"


def test_blocks_are_replaced_and_must_exist():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert replace_block(text, "x", "new") == "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n"
    with pytest.raises(ValueError, match="Expected a block"):
        replace_block(text, "y", "new")


def a_record(**game_options):
    cell = {"attack": "none", "error": 0.01, "ci_low": 0.0, "ci_high": 0.02, "n": 9, "paper": 0.008}
    return {
        "config": {
            "game": "minimax_grad",
            "eta": 0.3,
            "game_options": game_options,
            "net_options": {},
        },
        "results": [cell],
        "training": {"steps": 5, "seconds": 1.0},
    }


@pytest.mark.parametrize("penalty, shown", [("nested", True), ("finite_difference", False)])
def test_the_paper_stands_beside_its_own_penalty_only(penalty, shown):
    assert ("(0.008)" in games_table([a_record(penalty=penalty)], ["none"])) == shown


def test_a_row_says_on_how_many_examples_its_penalty_is():
    table = games_table([a_record(penalty_every=2), a_record(penalty="fused")], ["none"])
    rows = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    assert rows == ["| minimax_grad, penalty on one example in 2", "| minimax_grad, fused"]
