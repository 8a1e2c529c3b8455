"""README and docs say what the committed records say, and README's examples run."""

import dataclasses
import pathlib
import re

import pytest

import mmtf
from mmtf.reports import read_json
from scripts import (
    attack_comparison,
    brackets_page,
    collapse,
    gradient_games,
    images_seen,
    network_games,
    peer_defenses_html,
    peer_defenses_page,
    peer_defenses_ranking,
    readme,
    strength,
    strongest,
    union_measured,
    verifiers,
)
from scripts.blocks import rendered
from scripts.performance import page as performance_page

pytestmark = pytest.mark.usefixtures("few_checks")
ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("page", readme.PAGES, ids=lambda page: page.name)
def test_the_table_of_four_games_is_that_of_the_records(page):
    assert page.read_text() == rendered(page, readme.blocks())


def test_the_tables_are_those_of_the_records():
    page = gradient_games.PAGE
    assert page.read_text() == rendered(page, gradient_games.blocks())


@pytest.mark.parametrize("path", network_games.PAGES, ids=lambda path: path.name)
def test_the_tables_of_the_network_games_are_those_of_the_records(path):
    assert path.read_text() == rendered(path, network_games.blocks())


def test_the_comparison_of_attacks_is_that_of_its_record():
    page = attack_comparison.PAGE
    assert page.read_text() == rendered(page, attack_comparison.blocks())


def test_the_strength_tables_are_those_of_their_records():
    assert strength.PAGE.read_text() == rendered(strength.PAGE, strength.blocks())


def test_the_table_of_the_strongest_defense_is_that_of_its_records():
    assert strongest.PAGE.read_text() == rendered(strongest.PAGE, strongest.blocks())


def test_the_readme_has_the_proved_and_the_known_error_of_the_strongest_defense():
    report = read_json(strongest.RECORDS / "eta0.3-report.json")
    (found,) = [one for one in report["certified"] if one["eta"] == 0.3]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"proved to err on at most {100 * found['certified']:.2f}% of" in text
    assert f"known to err on {100 * found['worst']:.2f}%: [the strongest" in text


def test_the_page_of_the_strongest_defense_says_what_its_records_have():
    reports = {
        path.stem.removesuffix("-report"): read_json(path)
        for path in strongest.RECORDS.glob("*-report.json")
    }
    errors = {
        (name, one["eta"], one["attack"]): f"{100 * one['error']:.2f}"
        for name, report in reports.items()
        for one in report["cells"]
    }
    proved = [errors["eta0.3", eta, "certified"] for eta in (0.1, 0.2, 0.3)]
    small = {attack: one for (name, _, attack), one in errors.items() if "alpha" in name}
    text = " ".join(strongest.PAGE.read_text().split())
    assert f"errs on at most {proved[0]}, {proved[1]} and {proved[2]} % of MNIST's" in text
    assert f"trained at 0.4 on at most {errors['eta0.4', 0.4, 'certified']} %" in text
    assert f"0.003 errs on {small['worst']} % under all attacks (0.03: " in text
    assert f"(0.03: {errors['eta0.4', 0.4, 'autoattack']} % under the same attacks)" in text
    assert f"{small['none']} % of clean images" in text
    assert f"prove only that the error is at most {small['certified_cheap']} %" in text


def test_the_comparison_of_verifiers_is_that_of_its_record():
    assert verifiers.PAGE.read_text() == rendered(verifiers.PAGE, verifiers.blocks())


def test_the_table_of_the_union_is_that_of_its_records():
    assert union_measured.PAGE.read_text() == rendered(union_measured.PAGE, union_measured.blocks())


def test_the_page_of_brackets_is_that_of_its_records():
    brackets = brackets_page.records_in(brackets_page.RECORDS)
    assert brackets_page.PAGE.read_text() == brackets_page.page_text(brackets)


def test_the_measured_collapse_is_that_of_its_record():
    assert collapse.PAGE.read_text() == rendered(collapse.PAGE, collapse.blocks())


def test_the_errors_against_images_seen_are_those_of_their_records():
    found = images_seen.records()
    assert images_seen.PAGE.read_text() == rendered(images_seen.PAGE, images_seen.blocks(found))


def test_the_page_of_defenses_is_that_of_its_records():
    groups = peer_defenses_ranking.defenses_in(peer_defenses_ranking.RECORDS)
    assert peer_defenses_page.PAGE.read_text() == peer_defenses_page.page_text(groups)
    html = (peer_defenses_ranking.RECORDS / "index.html").read_text()
    assert html == peer_defenses_html.html(groups)


def test_the_page_on_speed_is_that_of_its_records():
    assert performance_page.PAGE.read_text() == performance_page.rendered()


def examples():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_library_example_runs(narrow_net, monkeypatch, capsys):
    """With fewer test images, for PGD and the checks take their time on each."""
    data = mmtf.load_data("digits")
    fewer = {"test_images": data.test_images[:40], "test_labels": data.test_labels[:40]}
    few = dataclasses.replace(data, **fewer)
    monkeypatch.setattr(mmtf, "load_data", lambda name: few if name == "digits" else None)
    code = next(code for code in examples() if "mmtf.train(" in code)
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["none", "fgsm", "pgd", "worst"]
    # Ten classes: an untrained classifier errs on 0.9, a trained one on far less.
    assert float(lines[1].split()[2]) < 0.5


def test_the_two_commands_are_there_as_ci_runs_them():
    text = (ROOT / "README.md").read_text()
    assert "pip install . && python -m mmtf.run --game=minimax_grad --eta=0.3" in text
    assert "pip install '.[test]' && python -m pytest" in text
