"""The pages are made from whatever records there are."""

from scripts.paper.cells import Track
from scripts.paper.judging import by_radius
from scripts.paper.output import write_pages
from scripts.paper.pages import claims_page, results_page, tables_of


def test_without_records_the_pages_say_so(keep):
    assert "There are no records yet." in claims_page(keep.results)
    assert "There are no records yet." in results_page(keep.results, [])


def test_a_page_shows_tables_claims_errata_and_figures(keep):
    keep(0.3, "no_defense", "none", 0.02)
    keep(0.3, "no_defense", "fgsm_curr", 0.9)
    text = results_page(keep.results, ["figures/figure1.png"])
    assert "0.983 \\| 0.900 [0.894, 0.906]" in text
    rest = "not measured at 0.1, 0.2, 0.4"
    assert f"Claim 1, FGSM breaks the undefended net: **holds at 0.3; {rest}**." in text
    assert "Table 2: not measured." in text
    assert "![Convergence of Minimax-Grad, MNIST](figures/figure1.png)" in text
    assert "| 4 | 0.3 | Adv FGSM80 | fgsm_curr | 0.352 | 0.043 (Table 3) |" in text


def test_the_claims_page_has_the_figures_and_the_papers_verdict(keep):
    keep(0.3, "no_defense", "none", 0.02)
    keep(0.3, "no_defense", "fgsm_curr", 0.1)
    text = claims_page(keep.results)
    heading = "does not hold at 0.3; not measured at 0.1, 0.2, 0.4"
    assert f"### 1. FGSM breaks the undefended net: {heading}" in text
    assert "eta 0.3: **does not hold** (the paper's own numbers: holds)" in text
    assert "0.1000 [0.0941, 0.1059] n=10,000 - no attack 0.0200 [" in text
    assert ">= 0.478, half of the reported (difference +0.0800 [" in text


def test_two_recipes_stand_side_by_side(keep):
    for track, error in (("mnist-keras-fast", 0.1), ("mnist-tutorial-fast", 0.9)):
        keep(0.3, "no_defense", "none", 0.02, track=track)
        keep(0.3, "no_defense", "fgsm_curr", error, track=track)
    text = results_page(keep.results, [])
    theirs = "the paper's own numbers, mnist"
    assert f"| claim | mnist-keras-fast | mnist-tutorial-fast | {theirs} |" in text
    assert "| 0.3 | No defense | 0.020 \\| 0.020 | 0.100 \\| 0.900 | - \\| - | - \\| - |" in text
    rest = "at 0.3; not measured at 0.1, 0.2, 0.4"
    assert f"undefended net | does not hold {rest} | holds {rest} |" in text


def test_verdicts_by_radius():
    lines = {0.1: "holds", 0.2: "undecided", 0.3: "holds"}
    assert by_radius(lines) == "holds at 0.1, 0.3; undecided at 0.2"
    assert by_radius({}) == by_radius({0.1: "not measured"}) == "not measured"


def test_what_does_not_reproduce_is_listed(keep):
    assert "Nothing so far." in results_page_of(keep, 0.9)
    text = results_page_of(keep, 0.1)
    assert "**Claim 1, FGSM breaks the undefended net.** By the fast schedule the" in text
    assert "- mnist-keras-fast, eta 0.3: no\\_defense under fgsm\\_curr 0.1000 [" in text


def test_a_check_is_listed_though_the_papers_claim_fails_by_another(keep):
    """Claim 5 fails by the paper's own Table 3 at 0.3, by LWA; that it beats no defense holds."""
    for attack in ("none", "fgsm1", "fgsm2", "fgsm80", "fgsm_curr"):
        keep(0.3, "minimax_grad", attack, 0.5)
        keep(0.3, "no_defense", attack, 0.1)
    text = results_page(keep.results, [])
    assert "- mnist-keras-fast, eta 0.3: worst of minimax\\_grad 0.5000" in text


def test_what_the_paper_says_in_words_is_listed(keep):
    for game in ("minimax_attnet", "alt_attnet", "maximin_attnet"):
        keep(0.3, game, "attnet_met", 0.01)
    text = results_page(keep.results, [])
    assert "**Claim 9, Minimax, Alt and Maximin converge to different values.**" in text


def test_seconds_are_counted_once_a_run(keep):
    for row in ("adv_fgsm1", "adv_fgsm2"):
        keep(0.3, row, "none", 0.1, seconds=2.0, training={"steps": 9, "seconds": 50.0})
    keep(0.3, "lwa", "none", 0.1, seconds=1.0, training={"steps": 9, "seconds": 30.0})
    text = results_page(keep.results, [])
    assert "| mnist-keras-fast | 0.3 | 3 | 80 | 5 | not recorded |" in text


def results_page_of(keep, error):
    keep(0.3, "no_defense", "none", 0.02)
    keep(0.3, "no_defense", "fgsm_curr", error)
    return results_page(keep.results, [])


def test_a_trials_dataset_stands_in_for_mnist():
    assert tables_of(Track("digits")) == [1, 2, 3, 4, 5]
    assert tables_of(Track("cifar10")) == [6, 7, 8, 9, 10]


def test_pages_are_written_whole(keep, tmp_path):
    keep(0.3, "no_defense", "fgsm_curr", 0.9)
    folder = tmp_path / "docs"
    write_pages(keep.results, str(folder), say=lambda line: None)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tables = {
        f"tables/table{n}-keras-fast.{form}" for n in (1, 3, 4) for form in ("md", "csv", "tex")
    }
    assert names == {"results.md", "claims.md", *tables}
