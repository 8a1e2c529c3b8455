"""Inputs that cannot be: each is refused in one line that names it, and leaves nothing behind.

Every row is called in this process. A row of a function gives an error of mmtf's own; a row of a
command gives exit status 1 and one line on stderr. No row may pass in silence.
"""

import json
import os
import pathlib
import zipfile

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
import mmtf.cli.evaluate
import mmtf.cli.run
from mmtf.attacks import ATTACKS
from mmtf.attacks.eot import ExpectationOverTransformation
from mmtf.attacks.universal import UniversalRecipe
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.export import save_serving
from mmtf.classifiers.loading import load_classifier
from mmtf.config import RunConfig, Schedule
from mmtf.data import to_unit_box
from mmtf.errors import ConfigError
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.best_response import AttNetRecipe
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import payoff_matrix
from mmtf.games import GAMES
from mmtf.games.best_response import BestResponse
from mmtf.nets import ATTACK_NETS, NETS
from mmtf.runs.workdir import Workdir
from mmtf.solvers import SOLVERS, Box, L2Ball, SoftThreshold, solve
from mmtf.threat import ThreatModel
from mmtf.training.options import TrainOptions

GOLDEN = pathlib.Path(__file__).parent / "golden" / "data" / "run"
LINF, L2 = ThreatModel(eta=0.3), ThreatModel(eta=0.3, norm="l2")
NAN, INF = float("nan"), float("inf")
# Of the run whose record and config are in GOLDEN.
RUN = ["--dataset=digits", "--game=minimax_grad", "--batch_size=16", "--steps=4", "--seed=3"]
RUN += ["--precision=float32", "--attacks=none,fgsm", "--max_examples=50"]


def threat(**options):
    return lambda: ThreatModel(**{"eta": 0.3, **options})


def attack(name, **options):
    norm = L2 if name in ("carlini_wagner", "fgm") else LINF
    return lambda: ATTACKS[name](norm, **options)


def game(name, **options):
    return lambda: GAMES[name](LINF, **options)


def net(name, **options):
    if name in NETS:
        return lambda: NETS[name](image_shape=(28, 28, 1), num_classes=10, seed=0, **options)
    return lambda: ATTACK_NETS[name](LINF, **options)


def solver(name, **options):
    return lambda: SOLVERS[name](**options)


def schedule(**options):
    return lambda: Schedule(**{"steps": 1, **options})


def config(**options):
    return lambda: RunConfig(**options)


def data(**changes):
    def make():
        images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 1, 0, 1])
        given = {"train_images": images, "train_labels": labels, "name": "mine", "num_classes": 2}
        mmtf.Dataset(**{**given, "test_images": images, "test_labels": labels, **changes})

    return make


def evaluate(attacks, **options):
    def run():
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(10))
        options_ = {"threat": LINF, **options}
        mmtf.evaluate(model, attacks, mmtf.load_data("digits"), **options_)

    return run


def matrix(etas=(0.3,), attacks=None, classifiers=None):
    def run():
        attacks_ = {"none": {}} if attacks is None else attacks
        models = {"m": keras.Sequential()} if classifiers is None else classifiers
        payoff_matrix(models, attacks_, mmtf.load_data("digits"), etas=etas)

    return run


def images(x=None, y=(0, 1), seed=(0, 0)):
    """An attack on images and labels; by default on two good ones."""
    x = np.zeros((2, 2, 2, 1), np.float32) if x is None else x
    linear = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    return lambda: ATTACKS["pgd"](LINF, steps=1)(linear, x, y, seed=seed)


def train(**given):
    def run():
        settings = {"game": GAMES["lwa"](LINF), "schedule": Schedule(steps=1), **given}
        game, dataset = settings.pop("game"), settings.pop("dataset", mmtf.load_data("digits"))
        mmtf.train(game, dataset, **settings)

    return run


WHOLE = [1.5, True, "2", None, 0, -1]  # where a whole number > 0 is expected
FUNCTIONS = [
    *[("box", threat(box=box)) for box in ((0, 1, 2), "ab", (-INF, INF), (1, 0), (0,), 3, None)],
    *[("box", threat(box=box)) for box in ((0, NAN), ("0", "1"), (False, True), (0.5, 0.5))],
    *[("norm", threat(norm=norm)) for norm in ("l3", None, 2, np.array(["linf"]))],
    *[("eta", threat(eta=eta)) for eta in (True, None, 0, -1, NAN, INF, "x")],
    *[("steps", attack("pgd", steps=steps)) for steps in WHOLE],
    *[("restarts", attack("pgd", restarts=count)) for count in WHOLE],
    *[("steps", attack(name, steps=1.5)) for name in ("apgd", "deepfool", "fab", "square")],
    *[("steps", attack(name, steps=True)) for name in ("autoattack", "carlini_wagner", "ifgsm")],
    ("queries", attack("autoattack", queries=2.5)),
    ("targets", attack("fab", targets="9")),
    ("targets", attack("apgd_targeted", targets=1.5)),
    *[("rho", attack("apgd", rho=rho)) for rho in (0, 1, NAN, "0.5", True)],
    *[("step_size", attack("pgd", step_size=size)) for size in (0, -1, NAN, INF, "0.1", True)],
    *[("stop_early", attack("pgd", stop_early=early)) for early in (1, "no", None)],
    ("decay", attack("pgd", decay="fast")),
    ("loss", attack("pgd", loss="mse")),
    *[("target", attack("pgd", target=one)) for one in ("3", -1, True, 1.5, [1])],
    *[("overshoot", attack("deepfool", overshoot=one)) for one in (-1, NAN, "0")],
    ("overshoot", attack("fab", overshoot=0.5)),
    ("alpha_max", attack("fab", alpha_max=2)),
    ("beta", attack("fab", beta=1)),
    *[("p", attack("square", p=p)) for p in (0, 2, "0.8", True)],
    ("searches", attack("carlini_wagner", searches=1.5)),
    *[("learning_rate", attack("carlini_wagner", learning_rate=rate)) for rate in (0, NAN, "1")],
    ("confidence", attack("carlini_wagner", confidence=-1)),
    *[("threat", lambda one=one: ATTACKS["pgd"](one)) for one in (0.3, None, "linf")],
    *[
        ("samples", lambda n=n: ExpectationOverTransformation(ATTACKS["fgsm"](LINF), samples=n))
        for n in (1.5, True, 0)
    ],
    *[("images", lambda n=n: UniversalRecipe(images=n)) for n in (1.5, True, 0)],
    ("delta", lambda: UniversalRecipe(delta=1)),
    *[("max_steps", game("lwa", max_steps=steps)) for steps in WHOLE],
    *[("max_steps", game("adv_pgd", max_steps=steps)) for steps in (1.5, True, 0)],
    *[("rounds", game("adv_fgsm", rounds=rounds)) for rounds in (1.5, True, "3", 0)],
    *[("gamma", game("minimax_grad", gamma=gamma)) for gamma in ("1", -1, NAN, INF, True, None)],
    *[("penalty_every", game("minimax_grad", penalty_every=k)) for k in (1.5, True, 0)],
    ("penalty", game("minimax_grad", penalty="exact")),
    ("difference_length", game("minimax_grad", difference_length=0)),
    ("gamma", game("minimax_attnet", gamma="5")),
    ("attacker_rate", game("minimax_attnet", attacker_rate=-1)),
    ("solver", game("minimax_attnet", solver="newton")),
    ("attacker_seed", lambda: BestResponse(LINF, attacker_seed=1.5)),
    ("threat", lambda: GAMES["lwa"](0.3)),
    *[("dropout", net("mnist_cnn", dropout=rate)) for rate in (2, 1, -0.1, NAN, "0.5", True)],
    ("dropout", net("cifar_cnn", dropout=2)),
    *[("weight_decay", net("mnist_cnn", weight_decay=one)) for one in (-1, INF, "1")],
    ("init", net("mnist_cnn", init="zeros")),
    ("dropout", net("mlp", dropout=1)),
    ("width", net("mlp", width=0)),
    ("depth", net("conv", depth=1.5)),
    ("bottleneck", net("unet", bottleneck=-1)),
    ("output", net("mlp", output="sigmoid")),
    ("learning rate", lambda: solve(lambda u, v: u - v, 0.0, 0.0, solver=sgd(NAN), steps=1)),
    ("learning rate", lambda: solve(lambda u, v: u - v, 0.0, 0.0, solver=sgd(-1), steps=1)),
    *[
        ("steps", lambda n=n: solve(lambda u, v: u, 0.0, 0.0, solver=sgd(0.1), steps=n))
        for n in (-1, 1.5, True, "2")
    ],
    ("k", solver("unrolled", k=1.5)),
    ("v_steps", solver("alternating", v_steps=True)),
    ("beams", solver("k_beam", beams=0)),
    ("seed", solver("k_beam", seed=1.5)),
    ("gamma", solver("consensus", gamma="1")),
    ("gamma", solver("sensitivity", gamma=NAN)),
    ("order", solver("sensitivity", order="any")),
    ("low", lambda: Box("a", 1)),
    ("low", lambda: Box(1, 0)),
    ("radius", lambda: L2Ball(0)),
    ("amount", lambda: SoftThreshold(NAN)),
    *[("steps", schedule(steps=steps)) for steps in WHOLE],
    *[("batch_size", schedule(batch_size=size)) for size in (1.5, True, "8", 0)],
    *[("learning_rate", schedule(learning_rate=rate)) for rate in (0, -1, NAN, INF, "1", True)],
    *[("first_steps", schedule(first_steps=steps)) for steps in (-1, 1.5)],
    *[("warmup_steps", schedule(warmup_steps=steps)) for steps in (-1, 1.5)],
    ("decay", schedule(decay="linear")),
    *[("seed", config(seed=seed)) for seed in (1.5, True, -1, 2**31, "0", None)],
    *[("attacks", config(attacks=names)) for names in ("pgd", (), ("pgd", "pgd"), (1,))],
    *[("dataset", config(dataset=name)) for name in ("", " ", None)],
    ("pgd_steps", config(pgd_steps=1.5)),
    ("max_examples", config(max_examples=-1)),
    ("jit_compile", config(jit_compile="yes")),
    *[("seed", lambda one=one: TrainOptions(seed=one)) for one in (1.5, True, -1)],
    *[
        ("checkpoint_seconds", lambda one=one: TrainOptions(checkpoint_seconds=one))
        for one in (-1, NAN, INF, "30", True, None)
    ],
    ("precision", lambda: TrainOptions(precision="half")),
    ("in_memory", lambda: TrainOptions(in_memory="no")),
    ("jit_compile", lambda: TrainOptions(jit_compile=1)),
    ("events", lambda: TrainOptions(events=[keras.callbacks.Callback()])),
    *[("max_examples", lambda one=one: EvalOptions(max_examples=one)) for one in (-1, 1.5, True)],
    *[("batch_size", lambda one=one: EvalOptions(batch_size=one)) for one in (0, 1.5, True)],
    *[("eot_samples", lambda one=one: EvalOptions(eot_samples=one)) for one in (0, 1.5)],
    ("seed", lambda: EvalOptions(seed=-1)),
    ("keep", lambda: EvalOptions(keep=-1)),
    ("checks", lambda: EvalOptions(checks="no")),
    ("restarts", lambda: AttNetRecipe(schedule=Schedule(steps=1), restarts=1.5)),
    ("eot_samples", lambda: make_attacks({"fgsm": {}}, LINF, eot_samples=0)),
    *[("bounds", lambda one=one: Classifier(abs, bounds=one)) for one in ((0,), (1, 0), "01")],
    ("attacks", evaluate("pgd")),
    ("attacks", evaluate(["pgd", "pgd"])),
    ("attack", evaluate([])),
    ("attack", evaluate(["magic"])),
    ("seed", evaluate(["none"], seed=1.5)),
    ("max_examples", evaluate(["none"], max_examples=1.5)),
    ("Dataset", lambda: mmtf.evaluate(abs, ["none"], np.zeros(3), threat=LINF)),
    ("threat", evaluate(["none"], threat=0.3)),
    ("etas", matrix(etas=[0.3, 0.3])),
    *[("etas", matrix(etas=etas)) for etas in ([], 0.3, "0.3")],
    ("classifiers", matrix(classifiers=[abs])),
    *[("attacks", matrix(attacks=attacks)) for attacks in ("pgd", ["pgd"])],
    ("options of pgd", matrix(attacks={"pgd": 5})),
    ("options of pgd", matrix(attacks={"pgd": {"stepz": 5}})),
    ("float images", images(np.zeros((2, 2, 2, 1), np.uint8))),
    ("integer labels", images(y=[0.5, 1.0])),
    ("integer labels", images(y=np.eye(2))),
    ("a label for each image", images(y=[0, 1, 1])),
    ("seed", images(seed=5)),
    ("seed", images(seed=(0.5, 1.0))),
    ("a game", train(game=GAMES["lwa"])),
    ("a game", train(game="lwa")),
    ("schedule", train(schedule=5)),
    ("Dataset", train(dataset=np.zeros(3))),
    ("options", train(options={"seed": 1})),
    ("Keras model", train(model="net.keras")),
    *[("checkpoint_dir", train(checkpoint_dir=path)) for path in ("", 5)],
    ("strategy", train(strategy="mirrored")),
    ("progress", train(progress="no")),
    ("cache_dir", lambda: EvalOptions(cache_dir="")),
    ("workdir", lambda: Workdir("", RunConfig())),
    *[("path", lambda path=path: load_classifier(path)) for path in ("", None, 5)],
    *[("path", lambda path=path: mmtf.save_keras(abs, path)) for path in ("", None, "notes.txt")],
    ("path", lambda: save_serving(NETS["mnist_cnn"](), to_unit_box, (28, 28, 1), "")),
    ("preprocess", lambda: save_serving(abs, None, (28, 28, 1), "served")),
    ("image_shape", lambda: save_serving(abs, to_unit_box, 28, "served")),
    *[("name", lambda name=name: mmtf.load_data(name)) for name in ("", None, 5)],
    ("name", lambda: Classifier(abs, name=5)),
    *[("count", lambda count=count: mmtf.load_data("digits").test(count)) for count in (1.5, -1)],
    *[("count", lambda count=count: mmtf.load_data("digits").holdout(count)) for count in (0.5, 0)],
    ("attacks", lambda: mmtf.run_config(attacks="pgd")),
    ("game_options", lambda: mmtf.run_config(game_options=[1])),
    ("schedule_options", lambda: mmtf.run_config(schedule_options=5)),
    ("num_classes", data(num_classes=1)),
    ("num_classes", data(num_classes=2.0)),
    ("name", data(name="")),
    ("preprocess", data(preprocess="box")),
    ("train split", data(train_images=[[1]])),
    ("train split", data(train_images=np.zeros((0, 8, 8, 1), np.uint8))),
    ("train split", data(train_images=np.zeros((4, 8, 8, 1), np.float64))),
    ("train split", data(train_images=np.full((4, 8, 8, 1), NAN, np.float32))),
    ("train split", data(train_images=np.full((4, 8, 8, 1), 9.0, np.float32))),
    ("train split", data(train_labels=np.array([0, 1, 2, 3]))),
    ("train split", data(train_labels=np.array([0.0, 1.0, 0.0, 1.0]))),
    ("train split", data(train_labels=np.array([0, 1]))),
    ("of one shape", data(test_images=np.zeros((4, 9, 8, 1), np.uint8))),
]


def sgd(rate):
    return SOLVERS["simultaneous"](u_optimizer=rate, v_optimizer=rate)


def test_there_are_enough_of_them():
    assert len(FUNCTIONS) + len(RUN_FLAGS) + len(EVALUATE_FLAGS) + len(RECORDS) > 300


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_a_function_refuses(number):
    name, call = FUNCTIONS[number]
    with pytest.raises(ConfigError) as refused:
        call()
    line = str(refused.value)
    assert name in line and "Expected" in line and "Received" in line
    assert "\n" not in line and len(line) < 700 and "not supported" not in line


@pytest.fixture
def run(tmp_path):
    """run(module, *flags) -> the line on stderr; checks status 1 and that no file came."""

    def files():
        return sorted(path for path in tmp_path.rglob("*"))

    def refused(module, *given):
        there = files()
        done = commands.call(module.__name__.replace("mmtf.cli.", "mmtf."), *given, cwd=tmp_path)
        assert done.returncode == 1, done.stdout
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
        assert files() == there
        return lines[0]

    return refused


DIGITS = ["--dataset=digits"]
TEXTS = ("game", "dataset", "norm", "net", "schedule", "precision", "penalty", "solver", "order")
TEXTS += ("attack_net", "attack_output", "init", "attacks", "workdir", "data_dir", "replay")
TEXTS += ("replay_rounds", "distribution", "cluster", "pods")
NETWORK_GAME = [*DIGITS, "--game=minimax_attnet"]
RUN_FLAGS = [
    *[(f"--{name}", [f"--{name}="]) for name in TEXTS],
    ("--dataset", ["--dataset= "]),
    ("--attacks", [*DIGITS, "--attacks=none,,pgd"]),
    ("flags only", [*DIGITS, "junk"]),
    ("game to be one of", ["--game=chess"]),
    ("net to be one of", ["--net=big"]),
    ("attack to be one of", ["--attacks=magic"]),
    ("attacks of different names", [*DIGITS, "--attacks=pgd,pgd"]),
    ("norm to be one of", [*DIGITS, "--norm=l3"]),
    ("schedule to be one of", [*DIGITS, "--schedule=slow"]),
    ("precision to be one of", [*DIGITS, "--precision=half"]),
    ("eta > 0", [*DIGITS, "--eta=0"]),
    ("--eta or --epsilon", [*DIGITS, "--eta=0.3", "--epsilon=8/255"]),
    ("steps > 0", [*DIGITS, "--steps=0"]),
    ("batch_size > 0", [*DIGITS, "--batch_size=0"]),
    ("learning_rate > 0", [*DIGITS, "--learning_rate=-1"]),
    ("learning_rate > 0", [*DIGITS, "--learning_rate=nan"]),
    ("warmup_steps >= 0", [*DIGITS, "--warmup_steps=-1"]),
    ("decay to be one of", [*DIGITS, "--decay=linear"]),
    ("seed in [0", [*DIGITS, "--seed=-1"]),
    ("max_examples >= 0", [*DIGITS, "--max_examples=-1"]),
    ("pgd_steps > 0", [*DIGITS, "--pgd_steps=0"]),
    ("max_steps > 0", [*DIGITS, "--max_steps=0"]),
    ("max_steps > 0", [*DIGITS, "--game=lwa", "--max_steps=0"]),
    ("gamma >= 0", [*DIGITS, "--gamma=-1"]),
    ("gamma >= 0", [*DIGITS, "--gamma=nan"]),
    ("penalty to be one of", [*DIGITS, "--penalty=exact"]),
    ("penalty_every > 0", [*DIGITS, "--penalty_every=0"]),
    ("rounds > 0", [*DIGITS, "--game=adv_fgsm", "--rounds=0"]),
    ("--rounds", [*DIGITS, "--game=lwa", "--rounds=3"]),
    ("--attack_net", [*DIGITS, "--attack_net=mlp"]),
    ("--attack_output", [*DIGITS, "--attack_output=tanh"]),
    ("--solver", [*DIGITS, "--solver=k_beam"]),
    ("--weight_decay", [*DIGITS, "--net=test_bad_inputs:own_net", "--weight_decay=1"]),
    ("attack_output to be one of", [*NETWORK_GAME, "--attack_output=sigmoid"]),
    ("solver to be one of", [*NETWORK_GAME, "--solver=newton"]),
    ("attacker_rate > 0", [*NETWORK_GAME, "--attacker_rate=0"]),
    ("init to be one of", [*DIGITS, "--init=zeros"]),
    ("dropout < 1", [*DIGITS, "--dropout=2"]),
    ("weight_decay >= 0", [*DIGITS, "--weight_decay=-1"]),
    ("CarliniWagner", [*DIGITS, "--attacks=carlini_wagner"]),
    ("attnet_met", [*DIGITS, "--attacks=attnet_met"]),
    ("checkpoint_seconds >= 0", [*DIGITS, "--checkpoint_seconds=-1"]),
    ("checkpoint_seconds >= 0", [*DIGITS, "--checkpoint_seconds=nan"]),
    ("distribution to be one of", [*DIGITS, "--distribution=all"]),
    ("--workers", [*DIGITS, "--workers=2"]),
    ("--port", [*DIGITS, "--port=80"]),
    ("--replay", [*DIGITS, "--replay=nowhere"]),
    ("--replay_rounds", [*DIGITS, "--replay_rounds=1"]),
    ("--exploitability", [*DIGITS, "--exploitability"]),
    ("--pgd_steps", [*DIGITS, "--attacks=none", "--pgd_steps=5"]),
    ("--order", [*NETWORK_GAME, "--solver=k_beam", "--order=sequential"]),
    ("--workdir", [*DIGITS, "--workdir=/proc/no/folder"]),
    ("dataset", ["--dataset=no_such_data"]),
    ("no module 'nowhere'", ["--dataset=nowhere:data"]),
    ("no module 'nowhere'", [*DIGITS, "--game=nowhere:Game"]),
    ("no module 'nowhere'", [*DIGITS, "--attacks=nowhere:Attack"]),
]


def own_net(*, image_shape, num_classes, seed):
    raise AssertionError("never made")


@pytest.mark.parametrize("number", range(len(RUN_FLAGS)))
def test_mmtf_run_refuses(number, run):
    expected, given = RUN_FLAGS[number]
    line = run(mmtf.cli.run, *given)
    assert line.startswith("mmtf.run: ") and expected in line and "Received" in line


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with net.keras of the digits, a small other.keras, and a SavedModel `served`."""
    folder = tmp_path_factory.mktemp("models")
    for name, shape, classes in (("net", (28, 28, 1), 10), ("other", (8, 8, 3), 4)):
        model = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
        model.add(keras.layers.Dense(classes))
        model.save(folder / f"{name}.keras")
    save_serving(model, to_unit_box, shape, str(folder / "served"))
    return folder


NET = "--model={models}/net.keras"
EVALUATE_TEXTS = ("model", "attacks", "dataset", "output", "norm", "preprocess", "target", "bounds")
EVALUATE_TEXTS += ("transfer_from", "data_dir", "pgd_loss", "apgd_loss", "schedule", "eta")
EVALUATE_FLAGS = [
    *[(f"--{name}", [NET, f"--{name}="]) for name in EVALUATE_TEXTS],
    ("--model", []),
    ("flags only", [NET, "junk"]),
    ("nothing", ["--model=nowhere"]),
    ("a folder without a model", ["--model={models}"]),
    ("--trust_saved_models", ["--model={models}/served", *DIGITS]),
    ("--trust_saved_models", [NET, *DIGITS, "--transfer_from={models}/served"]),
    ("--dataset=NAME", ["--model={models}/other.keras"]),
    ("--eta > 0", [NET, "--eta=0"]),
    ("--eta > 0", [NET, "--eta=nan"]),
    ("--epsilon > 0", [NET, "--epsilon=8/0"]),
    ("--eta or --epsilon", [NET, "--epsilon=8/255", "--eta=0.3"]),
    ("attack to be one of", [NET, "--attacks=magic"]),
    ("different names", [NET, "--attacks=pgd,pgd"]),
    ("max_examples >= 0", [NET, "--max_examples=-1"]),
    ("eot_samples > 0", [NET, "--eot_samples=0"]),
    ("batch_size >= 0", [NET, "--batch_size=-1"]),
    ("pgd_steps > 0", [NET, "--pgd_steps=0"]),
    ("pgd_restarts > 0", [NET, "--pgd_restarts=0"]),
    ("seed in [0", [NET, "--seed=-1"]),
    ("norm to be one of", [NET, "--norm=l3"]),
    ("attack_precision to be one of", [NET, "--attack_precision=half"]),
    ("schedule to be one of", [NET, "--schedule=slow"]),
    ("loss to be one of", ["--model=nowhere", "--pgd_loss=mse", "--output=out"]),
    ("decay to be one of", [NET, *DIGITS, "--pgd_decay=fast", "--output=out"]),
    ("target", [NET, *DIGITS, "--target=x", "--output=out"]),
    ("--eta of different radii", [NET, "--eta=0.3,0.30"]),
    ("LOW < HIGH", [NET, "--bounds=1,0"]),
    ("LOW < HIGH", [NET, "--bounds=a,b"]),
    ("for each of 1 models", [NET, "--bounds=0,1", "--bounds=0,1"]),
    ("--pgd_loss with pgd", [NET, "--attacks=fgsm", "--pgd_loss=dlr"]),
    ("preprocess to be one of", [NET, *DIGITS, "--preprocess=none", "--output=out"]),
    ("dataset", [NET, "--dataset=no_such_data", "--output=a/b"]),
    ("--output", [NET, "--output=/proc/no/folder"]),
    ("models of different names", [NET, NET, *DIGITS]),
    ("CarliniWagner", [NET, *DIGITS, "--attacks=carlini_wagner", "--output=out"]),
]


@pytest.mark.parametrize("number", range(len(EVALUATE_FLAGS)))
def test_mmtf_evaluate_refuses(number, run, models):
    expected, given = EVALUATE_FLAGS[number]
    line = run(mmtf.cli.evaluate, *(one.format(models=models) for one in given))
    assert line.startswith("mmtf.evaluate: ") and expected in line and "Received" in line


def changed(path, **values):
    """The golden file with other values at dotted places; a value of ... is left out."""
    content = json.loads((GOLDEN / path).read_text())
    for place, value in values.items():
        *outer, last = place.split("__")
        inner = content
        for name in outer:
            inner = inner[int(name) if name.isdigit() else name]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    return json.dumps(content)


BROKEN = ("", "{", "5", "[]", "{}", "null", '"text"', "\x00\x01", "[" * 100_000, b"\xff\xfe")
RECORDS = [
    *BROKEN,
    changed("record.json", format=99),
    changed("record.json", format=True),
    *[changed("record.json", **{name: ...}) for name in ("results", "training", "config")],
    changed("record.json", dataset__notice=...),
    changed("record.json", dataset=5),
    changed("record.json", config=[]),
    changed("record.json", config__eta="big"),
    changed("record.json", config__game=7),
    changed("record.json", results=5),
    changed("record.json", results=["x"]),
    *[changed("record.json", results__0__error=one) for one in ("x", 7.5, -1, None, True)],
    changed("record.json", results__0__n="x"),
    changed("record.json", results__1__attack=...),
    changed("record.json", training__steps="x"),
    changed("record.json", training__seconds=None),
    changed("record.json", seconds_in_last_process="x"),
    changed("record.json", rounds=5),
]


def workdir_of(tmp_path, models, record=None, config=None):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / "classifier.keras").write_bytes((models / "net.keras").read_bytes())
    for name, text in (("record.json", record), ("config.json", config)):
        text = (GOLDEN / name).read_text() if text is None else text
        if text is not ...:
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_a_damaged_record_is_no_result(number, run, models, tmp_path):
    folder = workdir_of(tmp_path, models, record=RECORDS[number])
    line = run(mmtf.cli.run, *RUN, f"--workdir={folder}")
    assert "record.json" in line and "Expected" in line


@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_config_is_not_another_run(text, run, models, tmp_path):
    folder = workdir_of(tmp_path, models, config=text)
    assert "config.json" in run(mmtf.cli.run, *RUN, f"--workdir={folder}")


@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_workdir_is_not_measured_on_mnist(text, run, models, tmp_path):
    folder = workdir_of(tmp_path, models, record=text, config=text)
    line = run(mmtf.cli.evaluate, f"--model={folder}", "--attacks=none")
    assert "Expected --dataset=NAME" in line and "damaged record.json, a damaged config" in line


def test_nothing_left_in_a_workdir_is_not_mnist_either(run, models, tmp_path):
    folder = workdir_of(tmp_path, models, record=..., config=...)
    line = run(mmtf.cli.evaluate, f"--model={folder}", "--attacks=none")
    assert "Expected --dataset=NAME" in line
    (folder / "config.json").write_text(changed("config.json", dataset="cifar10"))
    (folder / "record.json").write_text((GOLDEN / "record.json").read_text())
    line = run(mmtf.cli.evaluate, f"--model={folder}", "--attacks=none")
    assert "digits in record.json, cifar10 in config.json" in line


@pytest.mark.parametrize("name", ["config.json", "classifier.keras", "saved_model"])
def test_a_users_own_file_is_not_overwritten(name, run, tmp_path):
    (tmp_path / name).write_text('{"mine": 1}')
    line = run(mmtf.cli.run, *RUN, f"--workdir={tmp_path}")
    assert name in line and (tmp_path / name).read_text() == '{"mine": 1}'


@pytest.mark.parametrize("name", ["record.json", "report.html", "table.csv"])
def test_an_evaluation_does_not_overwrite_a_users_file(name, run, models, tmp_path):
    (tmp_path / name).write_text("mine")
    line = run(mmtf.cli.evaluate, f"--model={models}/net.keras", *DIGITS, f"--output={tmp_path}")
    assert name in line and (tmp_path / name).read_text() == "mine"


class Unpickled:
    """Writes a file where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def truncated(models):
    return (models / "net.keras").read_bytes()[:-100]


FILES = {
    "empty.keras": (lambda models: b"", "an empty file"),
    "text.keras": (lambda models: b"no model", "a file of another format"),
    "truncated.keras": (truncated, "a file of another format"),
    "pickle.keras": (lambda models: __import__("pickle").dumps(Unpickled()), "another format"),
    "png.keras": (lambda models: b"\x89PNG\r\n\x1a\n", "another format"),
    "model.h5": (lambda models: b"no model", "which Keras cannot load"),
    "model.zip": (lambda models: (models / "net.keras").read_bytes(), "which Keras cannot load"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model(name, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, expected = FILES[name]
    (tmp_path / name).write_bytes(content(models))
    with pytest.raises(ConfigError) as refused:
        load_classifier(str(tmp_path / name))
    line = str(refused.value)
    assert expected in line and name in line and "\n" not in line and "File not found" not in line
    assert os.listdir(tmp_path) == [name]


def test_a_zip_without_a_model(tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{")
    with pytest.raises(ConfigError, match=r"which Keras cannot load \(.*\)\. For a model"):
        load_classifier(str(path))


def test_code_in_a_keras_file_is_refused_with_the_way_to_allow_it(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ConfigError, match="enable_unsafe_deserialization.. in Python") as refused:
        load_classifier(str(tmp_path / "lambda.keras"))
    assert "\n" not in str(refused.value)


class Writing(tf.Module):
    """A SavedModel whose graph writes a file when it is called."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="images")])
    def logits(self, images):
        tf.io.write_file(self.path, "written by the graph")
        return {"logits": images}


def test_a_saved_model_can_write_files_and_is_not_loaded_untrusted(tmp_path):
    target = tmp_path / "written"
    module = Writing(str(target))
    tf.saved_model.save(module, str(tmp_path / "crafted"), {"logits": module.logits})
    with pytest.raises(ConfigError, match="--trust_saved_models"):
        load_classifier(str(tmp_path / "crafted"))
    assert not target.exists()
    trusted = load_classifier(str(tmp_path / "crafted"), trust_saved_models=True)
    trusted(tf.zeros([1, 2]))
    assert target.read_text() == "written by the graph"


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    ours = [".partial-abc12_x9", ".partial-abcdefgh.json", "checkpoints/ckpt-7_temp"]
    ours += ["checkpoints/ckpt-7.index.tempstate123", "rounds/.partial-12345678.keras"]
    theirs = [
        ".partial",
        "partial-abcdefgh",
        ".partial-mine.txt",
        "notes_temp",
        "checkpoints/ckpt_temp",
    ]
    for name in (*ours, *theirs):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".partial-saved000").mkdir()
    (tmp_path / ".partial-saved000" / "saved_model.pb").write_text("x")
    config = RunConfig(dataset="digits", schedule=Schedule(steps=5))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    with Workdir(str(tmp_path), config):
        pass
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*theirs, ".lock", "config.json"}


SCRIPTS = ["scripts.attack_comparison", "scripts.network_games", "scripts.gradient_games"]
SCRIPTS += ["scripts.attack_networks", "scripts.readme", "scripts.growth", "scripts.strength"]
SCRIPTS += ["scripts.verifiers"]
SCRIPTS += ["scripts.attacker_transfer", "scripts.performance.__main__", "benchmarks.gpu"]
SCRIPTS += ["benchmarks.growth", "benchmarks.brief_steps", "benchmarks.penalty_every"]
SCRIPTS += ["benchmarks.time_to_robust", "benchmarks.peers.speed.__main__"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_refuses_words_that_are_no_flags(name, run):
    module = pytest.importorskip(name)
    assert "Expected flags only. Received: 'junk'." in run(module, "junk")
