"""The comparison of defenses: ranks, tests, sentences and pages from records; a run on digits."""

import json
import subprocess
import sys
from types import SimpleNamespace

import forked
import numpy as np
import pytest

from mmtf.errors import ConfigError
from mmtf.stats.packed_bits import pack
from mmtf.stats.paired import holm, mcnemar
from scripts import peer_defenses_page as page
from scripts.peer_defenses_html import html as html_page
from scripts.peer_defenses_ranking import defenses_in, versus_best

N = 200


def record(name, broken, *, eta=0.3, clean=2, fgsm=None, certified=None, seconds=10.0):
    """A record whose attacks break the first images, nested."""
    counts = {"none": clean, "fgsm": broken if fgsm is None else fgsm, "worst": broken}
    wrong = {attack: np.arange(N) < count for attack, count in counts.items()}
    return {
        "dataset": "mnist", "etas": [eta], "n": N, "seed": 0, "drawn": N, "note": "drawn",
        "models": {name: {}}, "attacks": {"none": {}, "fgsm": {}}, "config": {"net": "mnist_cnn"},
        "cells": [{"attack": one, "error": float(bits.mean())} for one, bits in wrong.items()],
        "wrong": {one: pack(bits) for one, bits in wrong.items()},
        "certified": certified,
        "training": {"steps": 100, "processor_seconds_per_step": seconds / 100},
        "command": ["scripts.peer_defenses", "--eta=0.3"], "commit": "0" * 40,
        "versions": {"tensorflow": "2", "keras": "3"}, "hardware": {"cores": 2, "cpu": "CPU"},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    given = [
        record("slow", 10, seconds=100.0, certified=0.9),
        record("near", 13, seconds=4.0, certified=0.2),
        record("far", 120, fgsm=12),
    ]
    for one in given:
        (tmp_path / f"{next(iter(one['models']))}.json").write_text(json.dumps(one))
    return tmp_path


def test_defenses_are_ranked_and_tested_against_the_best(folder):
    groups = defenses_in(folder)
    (group,) = groups.values()
    assert list(groups) == [("mnist", 0.3)]
    assert [one.name for one in group] == ["slow", "near", "far"]
    assert group[0].worst == 0.05 and group[0].wrong.sum() == 10
    # Nested errors: 3 and 110 images are broken in the second net alone.
    expected = holm([2 * 0.5**3, mcnemar(np.arange(N) < 10, np.arange(N) < 120)])
    assert versus_best(group) == pytest.approx([1.0, *expected])


def test_the_answer_follows_from_the_records(folder):
    (answer,) = page.answers(defenses_in(folder))
    assert "`slow` errs on the fewest of 200 images" in answer and "5.0 % (95 %" in answer
    assert "`near` is not distinguishable" in answer
    assert "`near` takes 1/25.0 of its processor time and errs on 6.5 %" in answer
    assert "For a guarantee, `near`: at most 20.0 %" in answer
    assert "Do not judge `far` by FGSM" in answer
    assert answer.count(". ") <= 7


def test_what_was_not_counted_has_the_cost_of_the_same_steps(folder):
    """At another radius, by the same net; another net's is not taken."""
    for eta, net in ((0.6, "mnist_cnn"), (0.4, "strided_cnn")):
        one = record("near", 20, eta=eta)
        one["config"]["net"] = net
        one["training"] = {"steps": 200, "seconds": 1.0}
        (folder / f"near-{eta}.json").write_text(json.dumps(one))
    groups = defenses_in(folder)
    (same,), (other,) = groups["mnist", 0.6], groups["mnist", 0.4]
    assert same.cost == pytest.approx(8.0) and other.cost is None
    assert "| 8 | 200 | mnist_cnn |" in page.markdown([same])
    assert "| - | 200 | strided_cnn |" in page.markdown([other])
    assert "For little time" not in " ".join(page.answers({("mnist", 0.4): [other]}))


def test_pages_have_a_row_for_each_defense(folder, tmp_path):
    page.write(folder, tmp_path / "page.md")
    text, html = (tmp_path / "page.md").read_text(), (folder / "index.html").read_text()
    for name, error in (("slow", "5.0"), ("near", "6.5"), ("far", "60.0")):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert f"` | {error} |" in row and row.endswith("| mnist_cnn |")
        assert f">{name}</th>" in html
    assert text.index("| `slow`") < text.index("| `near`") < text.index("| `far`")
    assert "<script>" in html and "&&" in html and "&amp;&amp;" not in html
    assert 'data-value="0.065"' in html and "https://" not in html


def test_an_attack_on_those_that_lead_is_marked(folder):
    near = record("near", 13)
    near["cells"].insert(2, {"attack": "autoattack", "error": 0.06})
    near["attacks"]["autoattack"] = {}
    (folder / "near.json").write_text(json.dumps(near))
    groups = defenses_in(folder)
    text = page.page_text(groups)
    assert "| `near` | 6.5 |" in text and "| `far` | >= 60.0 |" in text
    assert "`>=`: autoattack was not run on this net" in text
    assert "&gt;= 60.0" in html_page(groups)


def test_a_net_without_the_dear_attack_is_not_told_to_be_as_good(folder):
    for name, broken, cheap in (("slow", 10, 0), ("near", 13, 0), ("close", 11, 1)):
        one = record(name, broken, seconds=1e-3 if cheap else 10.0)
        if not cheap:
            one["cells"].insert(2, {"attack": "autoattack", "error": broken / N})
        (folder / f"{name}.json").write_text(json.dumps(one))
    (answer,) = page.answers(defenses_in(folder))
    assert " `near` is not distinguishable" in answer
    assert "`close`" in answer and "errs on at least 5.5 %" in answer


def test_those_that_lead_meet_the_dear_attacks_until_none_is_left(tmp_path, monkeypatch):
    from scripts import peer_defenses as command

    cheap, dear = {"a": 4, "b": 6, "c": 8, "d": 90}, {"a": 20, "b": 7, "c": 10, "d": 95}
    met = []

    def measured(name, errors):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(record(name, errors[name])))

    def measure(name, *_):
        met.append(name)
        measured(name, dear)

    for name in cheap:
        measured(name, cheap)
    given = SimpleNamespace(finalists=2, attacks=["none", "autoattack"], pgd_restarts=1)
    monkeypatch.setattr(command, "FLAGS", given)
    monkeypatch.setattr(command, "_measure", measure)
    monkeypatch.setattr(command, "_file", lambda name, eta: tmp_path / f"{name}.json")
    command._finals(dict.fromkeys(cheap, ""), "", "0.3")
    # a leads, and falls behind b and c: c is measured, too. d is worse without the dear attack.
    assert met == ["a", "b", "c"]


def test_records_of_other_images_are_not_compared(folder):
    (folder / "other.json").write_text(json.dumps({**record("other", 1), "seed": 1}))
    with pytest.raises(ConfigError, match="one set of test images for mnist, eta 0.3"):
        defenses_in(folder)
    with pytest.raises(ConfigError, match="records of `python -m scripts.peer_defenses`"):
        defenses_in(folder / "nothing")


def run(*flags):
    command = [sys.executable, "-m", "scripts.peer_defenses", *flags]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_a_trial_does_not_touch_the_committed_records():
    done = run("--dataset=digits", "--games=undefended")
    assert done.returncode == 1 and "Expected --output=FOLDER and --page=FILE" in done.stderr
    done = run("--games=chess")
    assert done.returncode == 1 and "Received: 'chess'" in done.stderr
    assert "Traceback" not in done.stderr


def test_further_flags_are_those_of_every_game(tmp_path):
    flags = ["--run_flags=--steps=7 --chess=2", "--dataset=digits", "--games=lwa", "--eta=0.3"]
    flags += [f"--workdirs={tmp_path}", f"--output={tmp_path}", f"--page={tmp_path}/page.md"]
    done = forked.call("scripts.peer_defenses", *flags)
    assert done.returncode == 1 and "--steps=7 --chess=2 --workdir=" in done.stderr
    assert "Unknown command line flag 'chess'" in done.stderr
    trial = forked.call("scripts.peer_defenses", "--run_flags=--steps=7", "--dataset=mnist")
    assert trial.returncode == 1 and "for a trial" in trial.stderr
    trial = ["--steps=7", f"--output={tmp_path}", "--page=docs/which_defense.md"]
    over_the_page = forked.call("scripts.peer_defenses", *trial)
    assert over_the_page.returncode == 1 and "for a trial" in over_the_page.stderr
    # A net of --train is compared without being among --games; refused before any training.
    flags[0], flags[2] = "--train=more=--beta=6", "--games=undefended"
    unknown = forked.call("scripts.peer_defenses", *flags)
    assert unknown.returncode == 1 and "Received: 'more'" in unknown.stderr
    assert "mmtf.run" not in unknown.stderr


@pytest.mark.slow
def test_all_defenses_on_digits(tmp_path):
    """The whole command, at two radii, in a few minutes."""
    from scripts.peer_defenses import GAMES_SHOWN

    flags = ["--dataset=digits", "--eta=0.2", "--steps=150", "--net=strided_cnn"]
    flags += ["--attacks=none,fgsm,pgd", f"--workdirs={tmp_path}/runs"]
    flags += [f"--output={tmp_path}/records", f"--page={tmp_path}/page.md"]
    done = run(*flags)
    assert done.returncode == 0, done.stderr[-2000:]
    (group,) = defenses_in(tmp_path / "records").values()
    assert {one.name for one in group} == set(GAMES_SHOWN)
    errors = {one.name: one.worst for one in group}
    assert min(errors.values()) < errors["undefended"]
    again = run(*flags)
    assert again.returncode == 0 and again.stderr.count("is there") == len(GAMES_SHOWN)


def test_a_null_is_not_a_count(folder):
    """As mmtf.run writes it where too few steps were timed."""
    one = record("near", 20, eta=0.6)
    one["training"]["processor_seconds_per_step"] = None
    (folder / "zz.json").write_text(json.dumps(one))
    (same,) = defenses_in(folder)["mnist", 0.6]
    assert same.cost == pytest.approx(4.0)
