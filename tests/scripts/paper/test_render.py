"""Tables from records: reported | measured, errata, what is missing."""

import csv
import io

import pytest

from scripts.paper.cells import Track
from scripts.paper.render import render
from scripts.paper.tables import paper_table

TRACK = Track("mnist")


def cells_of(rendered):
    return {(one.eta, one.defense, one.column): one for one in rendered.entries}


def test_reported_beside_measured(keep):
    keep(0.3, "minimax_grad", "fgsm_curr", 0.0283)
    rendered = render(paper_table(3), keep.results, TRACK)
    text = cells_of(rendered)[0.3, "minimax_grad", "FGSM-curr"].text()
    assert text == "0.036 | 0.028 [0.025, 0.032]"
    assert cells_of(rendered)[0.3, "lwa", "FGSM-curr"].text() == "0.034 | -"
    assert rendered.measured == 1
    assert "python -m scripts.reproduce --tables=3 --init=keras" in rendered.text()


def test_worst_is_the_rows_largest_and_only_of_a_whole_row(keep):
    for attack, error in (("none", 0.01), ("fgsm1", 0.2), ("fgsm2", 0.1), ("fgsm80", 0.05)):
        keep(0.3, "lwa", attack, error)
    worst = (0.3, "lwa", "worst")
    assert cells_of(render(paper_table(3), keep.results, TRACK))[worst].measured is None
    keep(0.3, "lwa", "fgsm_curr", 0.03)
    assert cells_of(render(paper_table(3), keep.results, TRACK))[worst].measured.mean == 0.2


def test_per_example_worst_over_all_attacks(keep):
    for attack, error, n in (("fgsm_curr", 0.3, 1000), ("none", 0.1, 1000)):
        keep(0.3, "no_defense", attack, error, n=n)
    keep(0.3, "no_defense", "pgd_curr", 0.5, n=100)
    keep(0.3, "no_defense", "autoattack_curr", 0.9, n=10)
    found = cells_of(render(paper_table(1), keep.results, TRACK))
    entry = found[0.3, "no_defense", "worst per example"]
    assert (entry.measured.mean, entry.measured.n) == (1.0, 10)  # FGSM's first 300 are wrong
    assert entry.measured.low == pytest.approx(10 / (10 + 1.96**2), abs=1e-4)  # Wilson's at n of n


def test_a_row_of_two_trainings_has_no_worst_and_says_so(keep):
    for attack, error in (("none", 0.01), ("fgsm1", 0.2), ("fgsm2", 0.1), ("fgsm80", 0.05)):
        keep(0.3, "lwa", attack, error)
    keep(0.3, "lwa", "fgsm_curr", 0.03, training={"steps": 100, "seconds": 2.0})
    keep(0.3, "lwa", "pgd_curr", 0.03)
    keep(0.3, "lwa", "autoattack_curr", 0.03)
    rendered = render(paper_table(3), keep.results, TRACK)
    found = cells_of(rendered)
    assert found[0.3, "lwa", "worst"].measured is None
    assert found[0.3, "lwa", "worst per example"].measured is None
    assert "Cells of more than one training, so without a worst: LWA at eta 0.3." in rendered.notes


def test_a_replayed_attack_of_another_training_is_told_too(keep):
    for attack in ("none", "fgsm1", "fgsm2", "fgsm80", "fgsm_curr", "pgd_curr", "autoattack_curr"):
        runs = ["a", "b" if attack != "fgsm80" else "c"]
        replayed = attack.strip("fgsm").isdigit()
        about = {"players": ["x", "y"], "runs": runs} if replayed else {}
        keep(0.3, "lwa", attack, 0.01, **about)
    rendered = render(paper_table(3), keep.results, TRACK)
    assert cells_of(rendered)[0.3, "lwa", "worst"].measured is None
    assert "Cells of more than one training, so without a worst: LWA at eta 0.3." in rendered.notes


def test_radii_that_a_table_does_not_have_are_left_out(keep):
    keep(0.3, "lwa", "none", 0.01)
    assert {one.eta for one in render(paper_table(3), keep.results, TRACK, [0.3]).entries} == {0.3}
    assert render(paper_table(8), keep.results, Track("cifar10"), [0.3]).entries == []


def test_a_column_with_fewer_images_has_its_n(keep):
    keep(0.3, "lwa", "none", 0.01)
    keep(0.3, "lwa", "pgd_curr", 0.05, n=1000)
    header, _ = render(paper_table(3), keep.results, TRACK).grid()
    assert "PGD-40 (n=1,000)" in header and "no attack" in header


def test_the_precision_of_the_training_is_told(keep):
    keep(0.3, "lwa", "none", 0.01, training={"steps": 1, "seconds": 1.0, "precision": "bfloat16"})
    assert "Precision of the training: bfloat16." in note_text(keep)
    keep(0.2, "lwa", "none", 0.01, training={"steps": 1, "seconds": 1.0, "precision": "float32"})
    assert "bfloat16: all rows at 0.3. float32: all rows at 0.2." in note_text(keep)
    training = {"steps": 1, "seconds": 2.0, "precision": "float32"}
    keep(0.3, "minimax_grad", "none", 0.01, training=training)
    mixed = "bfloat16: LWA at 0.3. float32: all rows at 0.2; Minimax-Grad at 0.3."
    assert mixed in note_text(keep)


def note_text(keep):
    return " ".join(render(paper_table(3), keep.results, TRACK).notes)


def test_errata_show_both_values(keep):
    entry = cells_of(render(paper_table(4), keep.results, TRACK))[0.3, "adv_fgsm80", "FGSM-curr"]
    assert entry.text() == "0.352 (Table 3: 0.043) | -"


def test_one_row_tables_are_turned(keep):
    header, rows = render(paper_table(1), keep.results, TRACK).grid()
    assert header == ["No defense under", "eta 0.1", "eta 0.2", "eta 0.3", "eta 0.4"]
    assert rows[1][0] == "FGSM-curr" and rows[1][3] == "0.983 | -"


def test_markdown_has_as_many_cells_in_every_line(keep):
    keep(0.1, "lwa", "none", 0.01)
    text = render(paper_table(3), keep.results, TRACK).markdown()
    lines = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == 2 + 4 * 6


def test_csv_is_read_back(keep):
    keep(0.3, "minimax_grad", "fgsm_curr", 0.25)
    rows = list(csv.DictReader(io.StringIO(render(paper_table(4), keep.results, TRACK).csv())))
    (row,) = [one for one in rows if one["measured"]]
    assert (row["reported"], row["reported_elsewhere"], row["where"]) == (
        "0.144",
        "0.036",
        "Table 3",
    )
    assert (float(row["measured"]), row["n"], row["seeds"]) == (0.25, "10000", "1")
    assert (row["attack"], row["title"]) == ("fgsm_curr", "FGSM-curr")
    (network,) = [one for one in rows if one["eta"] == "0.1" and one["title"] == "AttNet-curr"][:1]
    assert network["attack"] == "attnet_paper_curr"


def test_the_papers_own_schedule_shows_radii_with_records_alone(keep):
    paper = Track("mnist", "tutorial", "paper")
    assert len(render(paper_table(3), keep.results, paper).grid()[1]) == 4 * 6
    keep(0.3, "lwa", "none", 0.01, track=str(paper))
    rows = render(paper_table(3), keep.results, paper).grid()[1]
    assert {row[0] for row in rows} == {"0.3"} and len(rows) == 6


def test_latex_escapes(keep):
    keep(0.3, "minimax_grad", "fgsm_curr", 0.25)
    text = render(paper_table(3), keep.results, TRACK).latex()
    assert "0.036 $\\mid$ 0.250 [" in text and "\\begin{tabular}" in text
    body = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len({line.count("&") for line in body}) == 1
    assert "Test images: n = 10,000: FGSM-curr." in text


def test_notes_tell_what_differs(keep):
    keep(0.3, "adv_fgsm80", "none", 0.01, rounds=20)
    keep(0.3, "lwa", "pgd_curr", 0.05, n=1000)
    plan = {"schedule": {"batch_size": 32, "first_steps": 300, "steps": 40}}
    keep(0.2, "adv_fgsm80", "none", 0.01, config=plan)
    notes = " ".join(render(paper_table(3), keep.results, TRACK).notes)
    assert "100 x 32 (300, then 40 a round)" in notes
    assert "those of round 20, 80" in notes and "n = 1,000: PGD-40" in notes
    assert "LWA 100" in notes


def test_a_note_that_another_begins_with_is_told_once(keep):
    keep(0.3, "lwa", "none", 0.01, note="1,000 images")
    keep(0.3, "lwa", "fgsm1", 0.02, note="1,000 images; standardized")
    keep(0.2, "lwa", "none", 0.01, note="2,000 images")
    notes = render(paper_table(3), keep.results, TRACK).notes
    assert [one for one in notes if one.endswith("images")] == ["2,000 images"]
    assert "1,000 images; standardized" in notes


def test_several_seeds_are_one_entry(keep):
    for seed, error in enumerate((0.1, 0.2, 0.3)):
        keep(0.3, "lwa", "none", error, seed=seed)
    entry = cells_of(render(paper_table(3), keep.results, TRACK))[0.3, "lwa", "no attack"]
    assert (round(entry.measured.mean, 6), entry.measured.seeds) == (0.2, 3)
    keep(0.3, "minimax_grad", "none", 0.1)
    notes = " ".join(render(paper_table(3), keep.results, TRACK).notes)
    assert "Seeds: 0 (cells of Minimax-Grad); 0, 1, 2 (cells of LWA)." in notes
