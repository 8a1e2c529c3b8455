"""docs/mixtures.md and the verdict that it begins with."""

import pytest

from mmtf.mixtures.report import verdict
from scripts import mixtures
from scripts.blocks import rendered


def test_the_page_is_that_of_its_record():
    stale = rendered(mixtures.PAGE, mixtures.blocks()) != mixtures.PAGE.read_text()
    assert not stale, "python -m scripts.mixtures"


@pytest.mark.parametrize(
    ("pure", "mixed", "words"),
    [
        (
            (0.5, 0.6),
            (0.3, 0.6),
            "In this run the mixture loses its gain to the adaptive attacker.",
        ),
        (
            (0.5, 0.6),
            (0.3, 0.7),
            "In this run the mixture loses its gain to the adaptive attacker.",
        ),
        ((0.5, 0.6), (0.3, 0.55), "In this run the mixture loses 75% of its gain"),
        ((0.5, 0.6), (0.3, 0.4), "In this run the mixture keeps its gain"),
        ((0.5, 0.6), (0.5, 0.4), "In this run the mixture gains nothing."),
        ((0.5, None), (0.3, None), "the adaptive attacker was not run"),
    ],
)
def test_the_first_sentence(pure, mixed, words):
    entries = [
        {
            "strategy": name,
            "p": {"lwa": 1.0},
            "test": {
                "table": {"error": table},
                "adaptive": None if adaptive is None else {"error": adaptive},
            },
        }
        for name, (table, adaptive) in (("best pure net", pure), ("optimal", mixed))
    ]
    assert words in verdict(entries)
