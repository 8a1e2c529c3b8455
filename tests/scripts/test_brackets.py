"""`scripts.brackets`: the command that trains, a measurement of a tiny net, and the page."""

import json
import os
import subprocess
import sys

import keras
import pytest
from absl import flags

from mmtf.errors import ConfigError
from mmtf.reports import read_json
from scripts import brackets, brackets_page
from scripts.blocks import RESULTS


@pytest.fixture(autouse=True)
def own_flags(monkeypatch):
    """Flags of its own, for other scripts define some of the same names."""
    own = flags.FlagValues()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flags, "FLAGS", own)
        for name in ("DEFINE_list", "DEFINE_string", "DEFINE_multi_string", "DEFINE_float"):
            patch.setattr(flags, name, _into(getattr(flags, name), own))
        for name in ("DEFINE_integer", "DEFINE_bool"):
            patch.setattr(flags, name, _into(getattr(flags, name), own))
        brackets.define_flags()
    monkeypatch.setattr(brackets, "FLAGS", own)
    return own


def _into(define, values):
    return lambda *given, **options: define(*given, **options, flag_values=values)


def run(own, *given):
    for name in own:
        own[name].unparse()
    return brackets.main(own(["scripts.brackets", *given]))


def bracket(name, eta, worst, certified, n=200):
    return {
        "defense": name,
        "eta": eta,
        "n": n,
        "clean_error": 0.01,
        "worst": worst,
        "certified": certified,
        "seconds": 30.0,
    }


def record_of(name, *brackets_of_radii, **entries):
    return {
        "dataset": "mnist",
        "note": "",
        "n": 200,
        "norm": "linf",
        "etas": [one["eta"] for one in brackets_of_radii],
        "seed": 0,
        "drawn": 200,
        "attacks": {"none": {}, "pgd": {}},
        "verifiers": ["ibp", "crown"],
        "seconds_per_image": 2.0,
        "certified": list(brackets_of_radii),
        "command": ["brackets.py"],
        "versions": {"tensorflow": "2.99", "keras": "3.99"},
        "hardware": {"cpu": "a CPU", "cores": 2},
        "commit": "0123456789abcdef",
        **entries,
    }


def records():
    return {
        "lwa": record_of("lwa", bracket("lwa", 0.1, 0.03, 0.5), bracket("lwa", 0.3, 0.2, 1.0)),
        "mtl_ibp": record_of(
            "mtl_ibp", bracket("mtl_ibp", 0.1, 0.02, 0.025), bracket("mtl_ibp", 0.3, 0.05, 0.07)
        ),
    }


def test_the_page_says_what_the_records_say():
    text = brackets_page.page_text(records())
    assert text.startswith("# How robust is it really?\n")
    assert "| `lwa` | 1.0 | 3.0 to 50.0 | 20.0 to 100.0 |" in text
    assert "| `mtl_ibp` | 1.0 | 2.0 to 2.5 | 5.0 to 7.0 |" in text
    # 2.5 % is below 3 %, and 7 % below 20 %: certain, whatever the attack.
    assert (
        text.count(
            "Whatever the attack, `mtl_ibp` errs on fewer of these images than any other net"
        )
        == 2
    )
    assert "the bracket of `mtl_ibp` is the narrowest: 0.5 points, from 2.0 % to 2.5 %" in text
    assert "At most 1 point wide: that of `mtl_ibp` at eta 0.1." in text
    assert "Wilson's 95 % intervals, at most 6.9 points" in text  # 1.96 sqrt(1 / (4 * 200))


def test_an_order_that_is_open_is_not_claimed():
    found = records()
    found["lwa"]["certified"][0]["worst"] = 0.024
    lines = brackets_page.sentences(brackets_page.merged(found))
    assert "is not decided: brackets overlap" in lines[0] and "Whatever" in lines[1]


def test_records_of_other_images_are_refused(tmp_path):
    for name, record in (("a", record_of("a")), ("b", record_of("b", n=100))):
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="one n in all records, 200. Received: '100 in b'"):
        brackets_page.records_in(tmp_path)
    with pytest.raises(ConfigError, match="records of `python -m scripts.brackets`"):
        brackets_page.records_in(tmp_path / "none")


def test_games_are_trained_by_the_command(own_flags, monkeypatch, tmp_path):
    asked, measured = [], []

    def trained(command, **options):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", trained)
    monkeypatch.setattr(brackets, "_measure", lambda name, path: measured.append((name, path)))
    monkeypatch.setattr(brackets_page, "write", lambda *given: None)
    places = [f"--workdirs={tmp_path}", f"--output={tmp_path}", f"--page={tmp_path}/page.md"]
    status = run(
        own_flags,
        *("--games=lwa,adv_pgd", "--model=adv_pgd=there.keras", "--dataset=digits"),
        *("--train=mine=--game=sabr --lam=0.4", "--steps=small", *places),
    )
    assert status == 0
    assert measured == [
        ("lwa", f"{tmp_path}/lwa"),
        ("adv_pgd", "there.keras"),
        ("mine", f"{tmp_path}/mine"),
    ]
    first, second = asked
    assert first[:3] == [sys.executable, "-m", "mmtf.run"]
    assert {"--game=lwa", "--net=strided_cnn", "--steps=60", "--eta=0.3"} <= set(first)
    assert "--game=sabr" in second and "--game=mine" not in second and "--lam=0.4" in second


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--games=nothing"], "game to be one of"),
        (["--model=path.keras"], "--model=NAME=..."),
        (["--dataset=digits"], "--output=FOLDER and --page=FILE for a trial"),
        (["--steps=5", "--output=x"], "--output=FOLDER and --page=FILE for a trial"),
    ],
)
def test_what_cannot_be_shows_at_once(own_flags, given, message, capsys):
    assert run(own_flags, *given) == 1
    assert message in capsys.readouterr().err


def test_a_net_is_measured_once(own_flags, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    keras.utils.set_random_seed(0)
    layers = [keras.layers.AveragePooling2D(7), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential([keras.Input((28, 28, 1)), *layers]).save(tmp_path / "net.keras")
    given = [
        *("--games=", f"--model=net={tmp_path}/net.keras", "--dataset=digits", "--examples=20"),
        *("--etas=0.1,0.05", "--attacks=none,fgsm", "--verifiers=ibp", f"--workdirs={tmp_path}"),
        *(f"--output={tmp_path}/records", f"--page={tmp_path}/docs/page.md"),
    ]
    assert run(own_flags, *given) == 0, capsys.readouterr().err
    record = read_json(tmp_path / "records" / "net.json")
    assert record["n"] == 20 and "at random by seed 0" in record["note"]
    assert [one["eta"] for one in record["certified"]] == [0.05, 0.1]
    for one in record["certified"]:
        assert one["clean_error"] <= one["worst"] <= one["certified"]
    assert (tmp_path / "docs" / "figures" / "brackets.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "docs" / "page.md").read_text()
    assert page == brackets_page.page_text({"net": record})
    capsys.readouterr()
    assert run(own_flags, *given) == 0
    assert "net.json is there" in capsys.readouterr().err
    assert run(own_flags, *given, "--examples=10") == 0
    assert read_json(tmp_path / "records" / "net.json")["n"] == 10


def test_the_committed_page_is_that_of_its_records():
    folder = RESULTS / "brackets"
    if not folder.is_dir():
        assert not brackets_page.PAGE.exists()
        return
    found = brackets_page.records_in(folder)
    assert brackets_page.PAGE.read_text() == brackets_page.page_text(found)


@pytest.mark.slow
def test_a_game_is_trained_measured_and_told(tmp_path):
    command = [sys.executable, "-m", "scripts.brackets", "--games=undefended", "--dataset=digits"]
    command += ["--steps=small", "--examples=20", "--etas=0.05", "--attacks=none,fgsm"]
    command += [f"--workdirs={tmp_path}/runs", f"--output={tmp_path}/records"]
    command += ["--verifiers=ibp,crown", f"--page={tmp_path}/page.md"]
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    text = (tmp_path / "page.md").read_text()
    assert "game undefended, net strided_cnn, trained at eta 0.3, 60 steps" in text


def test_a_trial_may_be_written_beside_the_records(tmp_path):
    committed, page = (tmp_path / "brackets", tmp_path / "page.md"), str(tmp_path / "own.md")
    brackets.refuse_trial(True, str(tmp_path / "brackets_trial"), page, committed)
    for inside in ("brackets", "brackets/trial"):
        with pytest.raises(ConfigError, match="--output=FOLDER"):
            brackets.refuse_trial(True, str(tmp_path / inside), page, committed)
