"""`python -m mmtf.run` as a user meets it; where a kill or a signal matters, as a real process."""

import glob
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags as absl_flags
from commands import ROOT, call

from mmtf.cli.run_flags import chosen_config
from mmtf.data import load_digits
from mmtf.evaluation import misclassified
from mmtf.reports import read_json
from mmtf.storage.checkpoint_files import STATE
from mmtf.storage.lock import InUse, hold
from mmtf.threat import ThreatModel

BRIEF = ["--dataset=digits", "--batch_size=16", "--attacks=none,fgsm", "--max_examples=50"]
NARROW = ["--width=4", "--hidden=16"]
SMALL = [*BRIEF, "--net=strided_cnn", *NARROW]


def command(workdir, *flags):
    return [sys.executable, "-m", "mmtf.run", f"--workdir={workdir}", *flags]


def run(workdir, *flags, **options):
    return call("mmtf.run", f"--workdir={workdir}", *flags, **options)


def run_alone(workdir, *flags):
    """In a process of its own."""
    return subprocess.run(command(workdir, *flags), cwd=ROOT, capture_output=True, text=True)


def final_weights(workdir):
    return keras.models.load_model(os.path.join(workdir, "classifier.keras")).get_weights()


def assert_same_run(ours, theirs):
    """The same weights, bitwise, figures and curve."""
    for a, b in zip(final_weights(ours), final_weights(theirs), strict=True):
        np.testing.assert_array_equal(a, b)
    one, other = (read_json(os.path.join(folder, "record.json")) for folder in (ours, theirs))
    assert one["curve"] == other["curve"]
    figures = [[(x["attack"], x["error"]) for x in record["results"]] for record in (one, other)]
    assert figures[0] == figures[1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole small run in a process of its own, and what it printed."""
    workdir = str(tmp_path_factory.mktemp("runs") / "finished")
    done = run_alone(workdir, *SMALL, "--steps=30", "--seed=3")
    assert done.returncode == 0, done.stderr
    return workdir, done


def test_a_run_leaves_what_it_promises(finished):
    workdir, done = finished
    with open(os.path.join(workdir, "record.json")) as source:
        record = json.load(source)
    results = {one["attack"]: one for one in record["results"]}
    assert list(results) == ["none", "fgsm_curr", "worst"]
    for one in results.values():
        assert one["ci_low"] <= one["error"] <= one["ci_high"]
        assert one["n"] == 50 and one["eta"] == 0.3
    assert results["worst"]["error"] >= results["fgsm_curr"]["error"]
    assert record["config"]["game"] == "minimax_grad" and record["seeds"] == [3]
    assert {"versions", "hardware", "commit", "curve"} <= set(record)
    assert record["precision"]["attacks"] == record["precision"]["training"]
    assert record["precision"]["evaluation"] == "float32"
    assert [point["step"] for point in record["curve"]] == list(range(0, 31, 3))
    # The figures are those of what is exported; float32 graphs may differ by an image.
    data = load_digits()
    x, y = data.test()
    model = keras.models.load_model(os.path.join(workdir, "classifier.keras"))
    wrong = misclassified(model, x, y)
    assert results["none"]["error"] == pytest.approx(wrong[:50].mean(), abs=1 / 50 + 1e-9)
    last = record["curve"][-1]
    assert last["none"] == pytest.approx(wrong[: last["n"]].mean(), abs=1 / last["n"] + 1e-9)
    served = tf.saved_model.load(os.path.join(workdir, "saved_model"))
    label = served.signatures["serving_default"](images=tf.constant(data.test_images))["label"]
    assert np.mean(label.numpy() != y) == pytest.approx(wrong.mean(), abs=1 / 360 + 1e-9)
    for name in ("config.json", "classifier.keras", "saved_model/saved_model.pb", "checkpoints"):
        assert os.path.exists(os.path.join(workdir, name)), name
    assert glob.glob(os.path.join(workdir, "logs", "events*"))
    # Not TensorFlow's, whose lines begin with a letter, the date and the time.
    assert not re.search(r"^[IWEF]\d{4} |oneDNN|WARNING", done.stderr, re.M), done.stderr
    line = r"fgsm_curr +0\.\d{4} \(\d+\.\d %\) +\[0\.\d{4}, [01]\.\d{4}\] +50"
    assert re.search(line, done.stdout)


def test_a_finished_run_prints_its_result_at_once(finished):
    workdir, first = finished
    again = run(workdir, *SMALL, "--steps=30", "--seed=3")
    assert again.returncode == 0
    table = first.stdout[first.stdout.index("\nminimax_grad on digits") :]
    assert table in again.stdout and "Measuring" not in again.stdout
    assert (
        "eta 0.3 (eps 38.25/255), penalty on one example in 2: test error (robust accuracy) in "
        "float32" in again.stdout
    )


def test_kill_minus_nine_costs_nothing(finished, tmp_path):
    """Killed as soon as a checkpoint is there, started again: bitwise the weights of `finished`."""
    workdir = str(tmp_path / "killed")
    flags = [*SMALL, "--steps=30", "--seed=3", "--checkpoint_seconds=0"]
    process = subprocess.Popen(
        command(workdir, *flags), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not os.path.exists(os.path.join(workdir, "checkpoints", STATE)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(InUse, match="which another run holds"):
        hold(workdir)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not os.path.exists(os.path.join(workdir, "record.json"))
    done = run(workdir, *flags)
    assert done.returncode == 0 and "Going on from step" in done.stderr
    assert_same_run(workdir, finished[0])


# That SIGINT stops a training alike is tested in tests/training/test_loop.py, and what the command
# answers in test_command_errors.py.
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_signals_save_and_say_how_to_go_on(finished, tmp_path, number):
    workdir = str(tmp_path / "stopped")
    flags = [*SMALL, "--steps=30", "--seed=3", "--checkpoint_seconds=1000"]
    process = subprocess.Popen(
        command(workdir, *flags),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # The point of step 0 is written inside the loop's reach, just before the first steps.
    deadline = time.monotonic() + 120
    while not os.path.exists(os.path.join(workdir, "curve.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, output
    assert "The same command goes on" in output and "Traceback" not in output
    done = run(workdir, *flags)
    assert done.returncode == 0, done.stderr
    assert_same_run(workdir, finished[0])


NO_DATA = {"TFDS_DATA_DIR": os.path.join(ROOT, "nowhere")}
WORKERS = "--distribution=multiworker"
# (flags, message), and with what in the environment; {} is for a workdir that is not there.
MISTAKES = {
    "attack": (["--attacks=none,magic"], "Expected attack to be one of none"),
    "eta of 0": (["--eta=0"], "Expected eta > 0"),
    "negative eta": (["--eta=-0.1"], "Expected eta > 0"),
    "option": (
        ["--game=lwa", "--gamma=2"],
        "Expected --gamma with a game that has it",
    ),
    "rounds": (
        ["--game=lwa", "--first_steps=9"],
        "Expected first_steps with a game of several rounds",
    ),
    "rule": (
        ["--game=alt_attnet", "--gamma=2"],
        "gamma with a rule that has one, not alternating",
    ),
    "norm": (["--game=adv_fgsm", "--norm=l2"], "Expected norm linf for FGSM"),
    "replay": (["--replay=nowhere"], "Expected --replay to name the workdir of an adv_fgsm run"),
    "idle replay_rounds": (
        ["--replay_rounds=1"],
        "Expected --replay_rounds with --replay. Received",
    ),
    "idle pgd_steps": (
        ["--attacks=fgsm", "--pgd_steps=3"],
        "Expected --pgd_steps with pgd among --attacks",
    ),
    "idle order": (
        ["--game=alt_attnet", "--order=simultaneous"],
        "--order with --solver=sensitivity",
    ),
    "two radii": (["--eta=0.3", "--epsilon=0.15"], "Expected --eta or --epsilon, one of them"),
    "no common scale": (
        ["--dataset=cifar10", "--epsilon=8/255"],
        "Expected --epsilon with a dataset whose pixels are only scaled",
    ),
    "no common scale of a version": (
        ["--dataset=cifar10:3.0.2", "--epsilon=8/255"],
        "Expected --epsilon with a dataset whose pixels are only scaled",
    ),
    "idle workers": (["--workers=2"], "Expected --workers with --distribution=multiworker"),
    "argument": (["extra"], "Expected flags only"),
    "dataset": (["--dataset=no_such_dataset"], "knows by name"),
    "exploitability": (["--game=lwa", "--exploitability"], "a game that trains an attacker"),
    "no cluster": ([WORKERS], "Expected TF_CONFIG in the environment"),
    "exploitability of workers": (
        [WORKERS, "--game=minimax_attnet", "--exploitability"],
        "in a single process",
    ),
    "port": ([WORKERS, "--port=9000"], f"Expected --port with {WORKERS} --cluster=slurm"),
    "unwritable": (
        [*SMALL, "--steps=1", f"--workdir={__file__}/w"],
        "--workdir: Expected a folder that can be written",
    ),
    "busy": ([*SMALL, "--steps=1", "--workdir={busy}"], "which another run holds"),
    "another config": (
        [*SMALL, "--steps=31", "--seed=3", "--workdir={finished}"],
        "schedule.steps: 30 -> 31",
    ),
    # Asked for by name: never swapped for the digits.
    "data, a folder": (["--dataset=mnist"], "--data_dir"),
    "data, a network": (["--dataset=mnist"], "network"),
    "data, the digits": (["--dataset=mnist"], "--dataset=digits"),
    "exploding risk": (
        [*SMALL, "--steps=30", "--learning_rate=1e30"],
        r"The risk became NaN or infinite at step \d+\. Try a lower",
    ),
}


def nobody(*unused, **more):
    """A resolver that knows no host."""
    raise socket.gaierror(-2, "Name or service not known")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_users_mistake_gets_one_line(finished, tmp_path, monkeypatch, name):
    flags, message = MISTAKES[name]
    workdir, busy, env = str(tmp_path / "w"), str(tmp_path / "busy"), {"TF_CONFIG": ""}
    flags = [
        flag.format(busy=busy, finished=finished[0]) if flag.startswith("--workdir") else flag
        for flag in flags
    ]
    if name.startswith("data, "):
        env |= NO_DATA
        monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with hold(busy):
        done = run(workdir, *flags, env=env)  # of two equal flags the last one counts
    assert done.returncode == 1
    if name == "exploding risk":
        assert re.search(message, done.stderr)
        return
    lines = done.stderr.strip().splitlines()
    assert message in lines[-1]
    assert len(lines) == 1 or name.startswith("data, "), lines  # TFDS has its say before
    assert not os.path.exists(os.path.join(workdir, "record.json"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--game=chess"], "one of undefended, adv_fgsm, lwa, adv_pgd, minimax_grad"),
        # After TensorFlow's import: in one process both are shown above.
        pytest.param(
            ["--dataset=digits", "--norm=l2", "--attacks=fgsm"],
            "Expected norm linf for FGSM",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_process_of_its_own_answers_alike(tmp_path, flags, message):
    done = run_alone(str(tmp_path / "w"), *flags)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_mnist_the_default_run_says_so_first_and_plays_on_digits(
    tmp_path, monkeypatch, narrow_net
):
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    flags = ["--steps=2", "--attacks=none", "--max_examples=20"]
    done = run(str(tmp_path / "w"), *flags, env=NO_DATA)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MNIST COULD NOT BE LOADED")
    assert "embedded digits" in done.stdout.splitlines()[0]
    with open(tmp_path / "w" / "record.json") as source:
        record = json.load(source)
    assert record["dataset"]["name"] == record["config"]["dataset"] == "digits"
    assert record["dataset"]["notice"].startswith("MNIST COULD NOT BE LOADED")
    again = run(str(tmp_path / "w"), *flags, env=NO_DATA)
    assert again.returncode == 0, again.stderr  # the finished run is shown


def test_help_is_quick_and_imports_no_tensorflow():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mmtf.run", "--helpshort"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor, for other work on the machine only stretches the clock's.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert "--game" in done.stdout
    assert not re.search(r"\| +(tensorflow|keras)$", done.stderr, re.M)


def test_cat_and_mouse_keeps_its_rounds_and_replays_them(tmp_path):
    flags = [*SMALL, "--game=adv_fgsm", "--rounds=2", "--first_steps=20", "--steps=10"]
    cat = str(tmp_path / "cat")
    done = run(cat, *flags)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(os.path.join(cat, "rounds"))) == [
        "000.keras",
        "001.keras",
        "002.keras",
    ]
    with open(os.path.join(cat, "record.json")) as source:
        cells = json.load(source)["rounds"]
    assert {(cell["defense"], cell["attack"]) for cell in cells} == {
        (defense, attack)
        for defense in ("no_defense", "adv_fgsm1", "adv_fgsm2")
        for attack in ("none", "fgsm1", "fgsm2", "fgsm_curr")
    }
    # FGSM 1 is made on the undefended classifier: for that row it is FGSM-curr.
    errors = {(cell["defense"], cell["attack"]): cell["error"] for cell in cells}
    assert errors["no_defense", "fgsm1"] == errors["no_defense", "fgsm_curr"]
    assert errors["adv_fgsm1", "fgsm2"] == errors["adv_fgsm1", "fgsm_curr"]
    other = str(tmp_path / "other")
    done = run(other, *SMALL, "--game=undefended", "--steps=5", f"--replay={cat}")
    assert done.returncode == 0 and "Replayed attacks" in done.stdout, done.stderr
    with open(os.path.join(other, "record.json")) as source:
        assert [cell["attack"] for cell in json.load(source)["replays"]] == [
            "fgsm1",
            "fgsm2",
        ]
    small = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    small.save(os.path.join(cat, "rounds", "000.keras"))
    done = run(str(tmp_path / "third"), *SMALL, "--game=undefended", f"--replay={cat}")
    assert done.returncode == 1 and "a run on images of shape (28, 28, 1)" in done.stderr


# Off their defaults, every one that the config has; and where it has them.
EVERY_FLAG = [
    "--dataset=digits",
    "--eta=0.7",
    "--norm=l2",
    "--gamma=0.5",
    "--max_steps=3",
    "--penalty=fused",
    "--penalty_every=3",
    "--init=tutorial",
    "--dropout=0.1",
    "--weight_decay=0.001",
    "--steps=70",
    "--batch_size=24",
    "--learning_rate=0.002",
    "--warmup_steps=7",
    "--decay=constant",
    "--attacks=none,pgd",
    "--precision=float32",
    "--pgd_steps=9",
    "--pgd_restarts=4",
    "--max_examples=30",
    "--seed=5",
]
EVERY_SETTING = {
    "dataset": "digits",
    "eta": 0.7,
    "norm": "l2",
    "game_options.gamma": 0.5,
    "game_options.max_steps": 3,
    "game_options.penalty": "fused",
    "game_options.penalty_every": 3,
    "net_options.init": "tutorial",
    "net_options.dropout": 0.1,
    "net_options.weight_decay": 0.001,
    "schedule.steps": 70,
    "schedule.batch_size": 24,
    "schedule.learning_rate": 0.002,
    "schedule.warmup_steps": 7,
    "schedule.decay": "constant",
    "attacks": ["none", "pgd"],
    "precision": "float32",
    "pgd_steps": 9,
    "pgd_restarts": 4,
    "max_examples": 30,
    "seed": 5,
}


@pytest.fixture
def config_of(monkeypatch):
    """config_of(*flags): the configuration that mmtf.run takes them for."""
    values = absl_flags.FLAGS

    def config_of(*given):
        for name in values:
            values[name].unparse()
        monkeypatch.setattr(sys, "argv", ["run", *given])
        values(sys.argv)
        return chosen_config(values, sys.argv)[0]

    yield config_of
    for name in values:
        values[name].unparse()


def test_every_flagfile_names_a_run_that_can_be(config_of):
    rooms = [os.path.join(ROOT, "flags", name) for name in ("mnist", "cifar10")]
    files = sorted(path for room in rooms for path in glob.glob(os.path.join(room, "*.flags")))
    assert len(files) >= 10
    for path in files:
        config = config_of(f"--flagfile={path}")
        assert config.game in path and config.dataset in path, path
        assert config.schedule_name == ("paper" if "_paper" in path else "fast"), path
    config = config_of(*EVERY_FLAG).to_dict()
    for name, value in EVERY_SETTING.items():
        found = config
        for part in name.split("."):
            found = found[part]
        assert found == value, (name, found)


def test_print_config_says_where_values_are_from_and_reads_no_data(tmp_path):
    code = (
        "import sys, mmtf.cli.run as r\n"
        "from absl import flags\n"
        "sys.argv = ['run', *sys.argv[1:]]\n"
        "assert r.main(flags.FLAGS(sys.argv)) == 0\n"
        "for room in ('mmtf.data', 'mmtf.training', 'mmtf.evaluation'):\n"
        "    assert room not in sys.modules, room\n"
    )
    given = ["--flagfile=flags/mnist/minimax_grad.flags", "--steps=9", "--print_config"]
    done = subprocess.run(
        [sys.executable, "-c", code, *given, f"--workdir={tmp_path}/w"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: re.split(r"  +", line)[1:] for line in done.stdout.splitlines()}
    file = "flagfile flags/mnist/minimax_grad.flags"
    assert lines["eta"] == ["0.3 (eps 38.25/255)", file] and lines["game"][1] == file
    assert lines["schedule.steps"] == ["9", "flag --steps"]
    assert lines["schedule.learning_rate"] == ["0.004", "preset fast, *, *"]
    assert lines["pgd_steps"] == ["40", "default"]
    assert not os.path.exists(tmp_path / "w")


def test_a_certified_game_trains_its_own_net(tmp_path):
    curve = ["--curve_every=1", "--curve_examples=20"]
    found = run(tmp_path / "run", "--game=mtl_ibp", "--steps=2", *BRIEF, *NARROW, *curve)
    assert found.returncode == 0, found.stderr
    config = read_json(tmp_path / "run" / "config.json")
    assert (config["net"], config["net_options"]["init"]) == ("clipped_cnn", "ibp")
    assert config["schedule"]["eta_ramp"] == 0.5
    points = read_json(tmp_path / "run" / "record.json")["curve"]
    assert [(one["step"], one["n"]) for one in points] == [(0, 20), (1, 20), (2, 20)]
    wrong = run(tmp_path / "other", "--game=mtl_ibp", "--init=tutorial", *BRIEF)
    assert wrong.returncode == 1 and "init to be one of keras, ibp" in wrong.stderr


def test_a_union_game_shows_each_attacker_in_its_ball(tmp_path):
    flags = [*SMALL, "--game=union", "--attackers=fgsm,pgd_l2,mlp_l1", "--rule=example_max"]
    flags += ["--eta=0.3", "--eta_l2=3", "--eta_l1=20", "--max_steps=2", "--attacker_rate=2"]
    flags += ["--net=strided_cnn", "--attacks=none", "--pgd_steps=4", "--steps=4"]
    done = run(tmp_path / "run", *flags)
    assert done.returncode == 0, done.stderr
    record = read_json(str(tmp_path / "run" / "record.json"))
    rows = {one["attack"]: one for one in record["results"]}
    assert list(rows) == ["none", "fgsm_curr", "pgd_l2_curr", "mlp_l1_met", "union", "worst"]
    assert [rows[name]["eta"] for name in list(rows)[1:4]] == [0.3, 3.0, 20.0]
    errors = {name: one["error"] for name, one in rows.items()}
    assert errors["worst"] == errors["union"] >= max(errors.values())
    assert "union: images that any attacker of the game misclassifies" in done.stdout
    assert "linf eta 0.3, l2 eta 3, l1 eta 20" in done.stdout
    # The network that is exported is the one of the table, and keeps its ball.
    network = keras.models.load_model(tmp_path / "run" / "attacker_mlp_l1.keras")
    x, y = load_digits().test(50)
    z = network([x, y]).numpy()
    assert not ThreatModel(eta=20.0, norm="l1").violations(z, x).any()
    model = keras.models.load_model(tmp_path / "run" / "classifier.keras")
    assert abs(np.mean(misclassified(model, z, y)) - errors["mlp_l1_met"]) <= 1 / 50
    assert (tmp_path / "run" / "attacker_mlp_l1_saved_model" / "saved_model.pb").exists()
    (events,) = glob.glob(str(tmp_path / "run" / "logs" / "events*"))
    found = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(events)
        for value in event.summary.value
    }
    for name in ("fgsm", "pgd_l2", "mlp_l1"):
        assert {f"train/risk_{name}", f"train/chosen_{name}"} <= found
    again = run(tmp_path / "run", *flags)
    assert again.returncode == 0 and "union" in again.stdout
