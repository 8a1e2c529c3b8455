"""README and docs say what the committed records say, and README's examples run."""

import dataclasses
import pathlib
import re
import subprocess
import sys

import pytest

import mmtf
from scripts import attack_comparison, gradient_games, network_games, strength
from scripts.performance import page as performance_page

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["README.md", "docs/gradient_games.md"])
def test_the_tables_are_those_of_the_records(name):
    assert (ROOT / name).read_text() == gradient_games.rendered(ROOT / name)


@pytest.mark.parametrize("path", network_games.PAGES, ids=lambda path: path.name)
def test_the_tables_of_the_network_games_are_those_of_the_records(path):
    assert path.read_text() == network_games.rendered(path, network_games.blocks())


def test_the_comparison_of_attacks_is_that_of_its_record():
    assert attack_comparison.PAGE.read_text() == attack_comparison.rendered(attack_comparison.PAGE)


def test_the_strength_tables_are_those_of_their_records():
    assert strength.PAGE.read_text() == strength.rendered()


def test_the_page_on_speed_is_that_of_its_records():
    assert performance_page.PAGE.read_text() == performance_page.rendered()


def examples():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_library_example_runs(monkeypatch, capsys):
    """With fewer test images, for PGD and the checks take their time on each."""
    data = mmtf.load_data("digits")
    fewer = {"test_images": data.test_images[:100], "test_labels": data.test_labels[:100]}
    few = dataclasses.replace(data, **fewer)
    monkeypatch.setattr(mmtf, "load_data", lambda name: few if name == "digits" else None)
    code = next(code for code in examples() if "mmtf.train(" in code)
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["none", "fgsm", "pgd", "worst"]
    # Ten classes: an untrained classifier errs on 0.9, a trained one on far less.
    assert float(lines[1].split()[2]) < 0.5


def test_the_solver_example_runs():
    code = next(code for code in examples() if "mmtf.solvers" in code)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(abs(float(one)) < 0.01 for one in done.stdout.split())


def test_the_two_commands_are_there_as_ci_runs_them():
    readme = (ROOT / "README.md").read_text()
    assert "pip install . && python -m mmtf.run --game=minimax_grad --eta=0.3" in readme
    assert "pip install '.[test]' && python -m pytest" in readme
