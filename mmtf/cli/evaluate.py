"""`python -m mmtf.evaluate`: robust accuracy of Keras models under many attacks.

    python -m mmtf.evaluate --model=runs/minimax_grad-mnist-eta0.3-seed0 \\
        --attacks=none,fgsm,pgd,autoattack --eta=0.3 --max_examples=1000 --output=report

Prints test errors with confidence intervals, the worst case over all attacks, and checks for
gradient masking. Several models and radii make a payoff matrix. With --output a stopped evaluation
resumes from its finished cells. From Python: `mmtf.evaluate`,
`mmtf.evaluation.payoff.payoff_matrix`.
"""

import contextlib
import inspect
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

from absl import flags

from mmtf.attacks import ATTACKS
from mmtf.cli.errors import about, in_one_line
from mmtf.cli.flags import EPSILON_HELP, require_one_radius, require_used
from mmtf.config import NORMS, STANDARDIZED
from mmtf.errors import ConfigError, Interrupted, require, require_choice
from mmtf.radius import eta_of, parse_radius
from mmtf.runtime import PRECISIONS, startup
from mmtf.storage.lock import hold

FITTED = ("attnet", "attnet_paper", "universal")
BOX = (-1.0, 1.0)
SHOWN_IMAGES = 8
FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of `python -m mmtf.evaluate`."""
    flags.DEFINE_multi_string(
        "model",
        [],
        "A .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run; "
        "NAME=PATH names it in the tables. Repeat for several.",
    )
    flags.DEFINE_multi_string(
        "bounds",
        [],
        "LOW,HIGH: pixel range of the models' input, as 0,1 or 0,255; default -1,1. Give it once "
        "for all models, or once for each --model in the same order. --eta is on the scale of "
        "[-1, 1] whatever the bounds.",
    )
    flags.DEFINE_multi_string(
        "model_output",
        [],
        "Of models with several outputs, the one that gives the logits: its key, its layer's name "
        "or its index from 0. Give it once for all models, or once for each --model.",
    )
    flags.DEFINE_list(
        "attacks",
        None,
        f"Attacks, separated by commas. Any of: {', '.join((*ATTACKS, *FITTED))}; or "
        "my_package.attacks:MyAttack. Default: none, fgsm (l2: fgm), pgd.",
    )
    flags.DEFINE_multi_string(
        "transfer_from",
        [],
        "PATH or NAME=PATH of a surrogate classifier: adds a column <attack>@<name> for every "
        "gradient-based attack, whose adversarial examples are crafted on the surrogate. Repeat "
        "for several.",
    )
    flags.DEFINE_integer(
        "eot_samples",
        1,
        "Expectation over transformation: number of calls of a randomized model over which "
        "gradient-based attacks average.",
    )
    flags.DEFINE_string(
        "attack_precision",
        "float32",
        f"Precision in which attacks are computed: {', '.join(PRECISIONS)}. Whether an image is "
        "misclassified is always decided in float32.",
    )
    flags.DEFINE_list(
        "eta", ["0.3"], "Attack radii for pixels in [-1, 1]: twice those of --epsilon."
    )
    flags.DEFINE_list("epsilon", None, EPSILON_HELP.replace("radius", "radii"))
    flags.DEFINE_string("norm", "linf", f"Norm of the radii: {', '.join(NORMS)}.")
    flags.DEFINE_string(
        "dataset",
        None,
        "Dataset, as in mmtf.run; its test split is used. Default: the one on which the workdirs "
        "among the models were trained, which must agree; mnist if there is none.",
    )
    flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets; default $TFDS_DATA_DIR.")
    flags.DEFINE_string(
        "preprocess",
        None,
        "Input of the models: box (pixels scaled to [-1, 1]) or per_image (each image also "
        "standardized by its own mean and deviation). Default: per_image for cifar10, as in the "
        "paper; box for all others.",
    )
    flags.DEFINE_integer("max_examples", 0, "Number of test examples, from the first; 0 for all.")
    flags.DEFINE_integer("pgd_steps", 40, "Steps of PGD.")
    flags.DEFINE_integer("pgd_restarts", 2, "Random restarts of PGD.")
    flags.DEFINE_string(
        "pgd_loss", "cross_entropy", "Loss that PGD maximizes: cross_entropy, margin or dlr."
    )
    flags.DEFINE_string(
        "pgd_decay", "constant", "Decay of PGD's step size: constant, linear or cosine."
    )
    flags.DEFINE_string(
        "apgd_loss", "cross_entropy", "Loss that APGD maximizes: cross_entropy, margin or dlr."
    )
    flags.DEFINE_string(
        "target",
        None,
        "Target class of fgsm, fgm, ifgsm, pgd, apgd, carlini_wagner and square: least_likely, "
        "random or the number of a class; default: untargeted.",
    )
    flags.DEFINE_string(
        "schedule",
        "fast",
        "Training of the attack network attnet_paper: fast (1,500 steps) or paper (30,000).",
    )
    flags.DEFINE_integer("seed", 0, "Seed of random starts and of attack networks.")
    flags.DEFINE_integer(
        "batch_size",
        0,
        "Images attacked together. 0: 500, or for images larger than CIFAR-10's the number that "
        "is estimated to fit into memory.",
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder for record, CSV, Markdown, HTML and .npz files, and for the finished cells from "
        "which a stopped evaluation resumes.",
    )


def _stopped(number: int, interrupted: Interrupted | None) -> int:
    """Tells the user after a signal what was saved; returns the exit status."""
    if FLAGS.output:
        print(
            f"Stopped; finished cells and batches of images are in {FLAGS.output}. The same "
            "command goes on from them."
        )
    else:
        print("Stopped. Nothing is kept without --output.")
    return 128 + signal.SIGINT


@in_one_line("mmtf.evaluate", stopped=_stopped)
def main(argv: list[str]) -> int:
    """Evaluates the models that the flags name and prints the tables; returns the exit status."""
    require(len(argv) == 1, "flags only", " ".join(argv[1:]))
    return _run()


def _run() -> int:
    etas = _etas()
    require(bool(FLAGS.model), "at least one --model", "none")
    names = FLAGS.attacks
    if names is None:
        names = ["none", "fgm" if FLAGS.norm == "l2" else "fgsm", "pgd"]
    require(bool(names), "at least one of --attacks", "")
    labels = {ATTACKS.label(name) for name in names}
    require(len(labels) == len(names), "--attacks of different names", ",".join(names))
    require(FLAGS.max_examples >= 0, "max_examples >= 0 (0: all)", FLAGS.max_examples)
    require(FLAGS.eot_samples > 0, "eot_samples > 0", FLAGS.eot_samples)
    require(FLAGS.batch_size >= 0, "batch_size >= 0 (0: by memory)", FLAGS.batch_size)
    _bounds()
    _for_each_model("model_output", FLAGS.model_output, None)
    require_choice("norm", FLAGS.norm, NORMS)
    require_choice("attack_precision", FLAGS.attack_precision, PRECISIONS)
    require_choice("schedule", FLAGS.schedule, ("fast", "paper"))
    require(0 <= FLAGS.seed < 2**31, "seed in [0, 2^31)", FLAGS.seed)
    for name in names:
        ATTACKS.require_known(name, others=FITTED)
    _refuse_idle(names)
    lock = _claim(FLAGS.output) if FLAGS.output else contextlib.nullcontext()
    with lock:
        return _evaluate(names, etas)


def _refuse_idle(names: list[str]) -> None:
    """Rejects flags of attacks that are not among --attacks."""
    owners = {"pgd_steps": "pgd", "pgd_restarts": "pgd", "pgd_loss": "pgd", "pgd_decay": "pgd"}
    owners |= {"apgd_loss": "apgd", "schedule": "attnet_paper"}
    require_used(
        FLAGS, {flag: (one in names, f"{one} among --attacks") for flag, one in owners.items()}
    )


def _evaluate(names: list[str], etas: list[float]) -> int:
    startup.import_tensorflow()
    from mmtf.classifiers.classifier import Classifier
    from mmtf.classifiers.loading import load_classifier
    from mmtf.data import load_data
    from mmtf.evaluation.admission import attack_precision
    from mmtf.evaluation.best_response import ATTNET, ATTNET_PAPER, ATTNET_PAPER_FAST
    from mmtf.evaluation.options import EvalOptions
    from mmtf.evaluation.payoff import payoff_matrix
    from mmtf.evaluation.report import (
        evaluation_record,
        evaluation_text,
        model_source,
        write_report,
    )

    def load(given: str, bounds: tuple[float, float], output: str | None) -> Classifier:
        path, name = _path_and_name(given)
        return load_classifier(path, name, bounds, output)

    bounds, outputs = _bounds(), _for_each_model("model_output", FLAGS.model_output, None)
    shared = bounds[0] if len(FLAGS.bounds) == 1 else BOX
    chosen = outputs[0] if len(FLAGS.model_output) == 1 else None
    models = [load(*one) for one in zip(FLAGS.model, bounds, outputs, strict=True)]
    classifiers = _by_name("models", models)
    paths = [_path_and_name(given)[0] for given in FLAGS.model]
    found = dict(zip(classifiers, map(model_source, paths), strict=True))
    sources = _by_name("transfer_from", [load(one, shared, chosen) for one in FLAGS.transfer_from])
    name = _dataset()
    require(
        FLAGS.epsilon is None or FLAGS.preprocess == "box" or name not in STANDARDIZED,
        "--epsilon with --preprocess=box; for images that are standardized one by one, give the "
        "radius on their scale by --eta",
        name,
    )
    dataset = load_data(name, FLAGS.data_dir, preprocess=FLAGS.preprocess)
    attacks = _options(names)
    precision = attack_precision(FLAGS.attack_precision, list(classifiers.values()))
    slow = FLAGS.schedule == "paper"
    recipes = {"attnet": ATTNET, "attnet_paper": ATTNET_PAPER if slow else ATTNET_PAPER_FAST}
    matrix = payoff_matrix(
        classifiers,
        attacks,
        dataset,
        etas=etas,
        norm=FLAGS.norm,
        recipes=recipes,
        sources=sources,
        options=EvalOptions(
            max_examples=FLAGS.max_examples,
            seed=FLAGS.seed,
            batch_size=FLAGS.batch_size or None,
            precision=precision,
            eot_samples=FLAGS.eot_samples,
            keep=SHOWN_IMAGES,
            distances=True,
            cache_dir=FLAGS.output and os.path.join(FLAGS.output, "cells"),
            progress=True,
        ),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    settings = {
        "norm": FLAGS.norm,
        "etas": etas,
        "seed": FLAGS.seed,
        "attacks": {
            name: recipes[name].to_dict() if name in recipes else options
            for name, options in attacks.items()
        },
        "eot_samples": FLAGS.eot_samples,
        "attack_precision": precision,
        "transfer_from": list(sources),
        "models": found,
        "bounds": {name: list(one.bounds) for name, one in classifiers.items()},
        "batch_size": FLAGS.batch_size or None,
    }
    if FLAGS.model_output:
        settings["outputs"] = {name: one.output for name, one in classifiers.items()}
    record = evaluation_record(matrix, dataset, settings)
    print(evaluation_text(record))
    if FLAGS.output:
        names = write_report(FLAGS.output, record, matrix, dataset, classifiers)
        print(f"\nEverything is in {FLAGS.output}: {', '.join(names)}.")
    return 0


def _claim(folder: str) -> TextIO:
    """Creates and locks the folder; rejects a run's workdir, whose record.json would be lost."""
    if os.path.exists(os.path.join(folder, "config.json")):
        raise ConfigError(
            f"Expected an --output folder of its own. Received: {folder}, a workdir of mmtf.run."
        )
    with about("--output"):
        lock = hold(folder)
    os.makedirs(os.path.join(folder, "cells"), exist_ok=True)
    return lock


def _dataset() -> str:
    """Dataset of the flag, or of the workdirs; prints a line for a workdir trained on another."""
    from mmtf.runs.workdir import dataset_played
    from mmtf.storage.files import read_json

    trained = {}
    for given in FLAGS.model:
        path, _ = _path_and_name(given)
        try:
            config = read_json(os.path.join(os.path.expanduser(path), "config.json"))
            trained[path] = dataset_played(path, config["dataset"])
        except (OSError, ConfigError, KeyError, TypeError):
            continue  # a .keras file or a SavedModel, which does not record its dataset
    if FLAGS.dataset is None:
        names = sorted(set(trained.values()))
        require(len(names) < 2, "--dataset, for workdirs of several", ", ".join(names))
        return names[0] if names else "mnist"
    for path, name in trained.items():
        if name != FLAGS.dataset:
            line = f"{path} was trained on {name}; it is measured on {FLAGS.dataset}."
            print(line, file=sys.stderr, flush=True)
    return FLAGS.dataset


def _by_name(flag: str, classifiers: list[Any]) -> dict[str, Any]:
    names = [one.name for one in classifiers]
    require(len(set(names)) == len(names), f"{flag} of different names (NAME=PATH)", names)
    return dict(zip(names, classifiers, strict=True))


def _bounds() -> list[tuple[float, float]]:
    """Returns the pixel range (low, high) of every --model."""
    given = []
    for one in FLAGS.bounds:
        try:
            low, high = (float(bound) for bound in one.split(","))
        except ValueError:
            low, high = 0.0, 0.0
        require(low < high, "--bounds=LOW,HIGH with LOW < HIGH, as --bounds=0,1", one)
        given.append((low, high))
    return _for_each_model("bounds", given, BOX)


def _for_each_model(flag: str, given: list[Any], default: Any) -> list[Any]:
    """Returns a value of `given` for every --model; a single one is that of all."""
    given, count = given or [default], len(FLAGS.model)
    require(len(given) in (1, count), f"--{flag} once, or for each of {count} models", len(given))
    return given * count if len(given) == 1 else given


def _options(names: list[str]) -> dict[str, dict[str, Any]]:
    """Returns attack name -> the constructor options that the flags set."""
    options: dict[str, dict[str, Any]] = {name: {} for name in names}
    flagged = {
        "pgd": {
            "steps": FLAGS.pgd_steps,
            "restarts": FLAGS.pgd_restarts,
            "loss": FLAGS.pgd_loss,
            "decay": FLAGS.pgd_decay,
        },
        "apgd": {"loss": FLAGS.apgd_loss},
    }
    for name in set(names) & set(flagged):
        options[name] |= flagged[name]
    if FLAGS.target is not None:
        target = int(FLAGS.target) if FLAGS.target.isdigit() else FLAGS.target
        aimed = [n for n in names if n not in FITTED and "target" in _parameters(ATTACKS[n])]
        require(bool(aimed), "an attack that takes a target class with --target", ",".join(names))
        for name in aimed:
            options[name]["target"] = target
    return options


def _parameters(kind: Callable[..., Any]) -> Any:
    return inspect.signature(kind).parameters


def _etas() -> list[float]:
    """Returns the radii of --eta or --epsilon, ascending, on the scale of [-1, 1]."""
    require_one_radius(FLAGS)
    flag = "eta" if FLAGS.epsilon is None else "epsilon"
    texts: list[str] = FLAGS[flag].value or []
    try:
        radii = [parse_radius(text) for text in texts]
    except ConfigError:
        radii = []
    good = bool(radii) and all(0 < radius < float("inf") for radius in radii)
    require(good, f"radii --{flag} > 0 (0.3 or 8/255), separated by commas", ",".join(texts))
    return sorted({radius if flag == "eta" else eta_of(radius) for radius in radii})


def _path_and_name(given: str) -> tuple[str, str | None]:
    name, separator, path = given.partition("=")
    return (path, name) if separator and not os.path.exists(given) else (given, None)
