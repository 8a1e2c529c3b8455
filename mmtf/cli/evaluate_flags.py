"""The flags of `python -m mmtf.evaluate`, and what they say together. Imports no TensorFlow."""

import inspect
import os
from collections.abc import Callable
from typing import Any

from absl import flags

from mmtf.attacks import ATTACKS
from mmtf.cli.certified_flags import CERTIFIED, define_certified_flags, require_verifiers
from mmtf.cli.defining import Definer
from mmtf.cli.flags import EPSILON_HELP, require_one_radius, require_used
from mmtf.cli.smoothed_flags import SMOOTHED, define_smoothed_flags, require_smoothed
from mmtf.config import NORMS
from mmtf.errors import ConfigError, require, require_choice, require_int, require_seed
from mmtf.radius import Radius, as_radius, eta_of, largest, radius_text
from mmtf.runtime import PRECISIONS

FITTED = ("attnet", "attnet_paper", "universal")
BOX = (-1.0, 1.0)
CHOSEN_TARGETS = ("least_likely", "random")


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.evaluate` in `values`."""
    define = Definer(values)
    define.models()
    define.words(
        "attacks",
        None,
        f"Attacks, separated by commas. Any of: {', '.join((*ATTACKS, *FITTED))}; or "
        "my_package.attacks:MyAttack; certified, which proves images robust (--verifiers); and "
        "smoothed, which certifies the model smoothed by Gaussian noise in l2 (--sigma). "
        "Default: none, fgsm (l2 and l1: fgm), pgd.",
    )
    define_certified_flags(values)
    define_smoothed_flags(values)
    define.many(
        "transfer_from",
        "PATH or NAME=PATH of a surrogate classifier: adds a column <attack>@<name> for every "
        "gradient-based attack, whose adversarial examples are crafted on the surrogate. Repeat "
        "for several.",
    )
    define.whole(
        "eot_samples",
        1,
        "Expectation over transformation: number of calls of a randomized model over which "
        "gradient-based attacks average.",
        least=None,
    )
    define.text(
        "attack_precision",
        "float32",
        f"Precision in which attacks are computed: {', '.join(PRECISIONS)}. Whether an image is "
        "misclassified is always decided in float32.",
    )
    define.words(
        "eta",
        ["0.3"],
        "Attack radii for pixels in [-1, 1]: twice those of --epsilon. With linf also radii of the "
        "channels, separated by colons: 0.1:0.2:0.3.",
    )
    define.words("epsilon", None, EPSILON_HELP.replace("radius", "radii"))
    define.text("norm", "linf", f"Norm of the radii: {', '.join(NORMS)}.")
    define.text(
        "dataset",
        None,
        "Dataset, as in mmtf.run; its test split is used. Default: the one on which the workdirs "
        "among the models were trained, which must agree; without a workdir mnist, for models of "
        "its images.",
    )
    define.data_dir()
    define.text(
        "preprocess",
        None,
        "Input of the models: box (pixels scaled to [-1, 1]) or per_image (each image also "
        "standardized by its own mean and deviation). Default: per_image for cifar10, as in the "
        "paper; box for all others.",
    )
    define.whole(
        "max_examples", 0, "Number of test examples, from the first; 0 for all.", least=None
    )
    define.whole("pgd_steps", 40, "Steps of PGD.", least=None)
    define.whole("pgd_restarts", 2, "Random restarts of PGD.", least=None)
    define.text(
        "pgd_loss", "cross_entropy", "Loss that PGD maximizes: cross_entropy, margin or dlr."
    )
    define.text("pgd_decay", "constant", "Decay of PGD's step size: constant, linear or cosine.")
    define.text(
        "apgd_loss", "cross_entropy", "Loss that APGD maximizes: cross_entropy, margin or dlr."
    )
    define.text(
        "target",
        None,
        "Target class of fgsm, fgm, ifgsm, pgd, apgd, carlini_wagner and square: least_likely, "
        "random, or the name or number of a class; default: untargeted. The tables then also show "
        "the share of the images classified as their target.",
    )
    define.text(
        "schedule",
        "fast",
        "Training of the attack network attnet_paper: fast (1,500 steps) or paper (30,000).",
    )
    define.whole("seed", 0, "Seed of random starts and of attack networks.", least=None)
    define.whole(
        "batch_size",
        0,
        "Images attacked together. 0: 500, or for images larger than CIFAR-10's the number that "
        "is estimated to fit into memory.",
        least=None,
    )
    define.text(
        "output",
        None,
        "Folder for record, CSV, Markdown, HTML and .npz files, and for the finished cells from "
        "which a stopped evaluation resumes.",
    )


def attack_names(values: flags.FlagValues) -> list[str]:
    """Returns the names of --attacks, after checking every flag that needs no model.

    Raises:
      ConfigError: a flag cannot be, or would have no effect.
    """
    require(bool(values.model), "at least one --model", "none")
    names = values.attacks
    if names is None:
        names = ["none", "fgsm" if values.norm == "linf" else "fgm", "pgd"]
    labels = {ATTACKS.label(name) for name in names}
    require(len(labels) == len(names), "--attacks of different names", ",".join(names))
    require_verifiers(values)
    require_smoothed(values)
    names = [name for name in names if name not in (CERTIFIED, SMOOTHED)] or ["none"]
    require(values.max_examples >= 0, "max_examples >= 0 (0: all)", values.max_examples)
    require(values.batch_size >= 0, "batch_size >= 0 (0: by memory)", values.batch_size)
    require_int("eot_samples", values.eot_samples)
    require_int("pgd_steps", values.pgd_steps)
    require_int("pgd_restarts", values.pgd_restarts)
    pixel_ranges(values)
    model_outputs(values)
    require_choice("norm", values.norm, NORMS)
    require_choice("attack_precision", values.attack_precision, PRECISIONS)
    require_choice("schedule", values.schedule, ("fast", "paper"))
    require_seed(values.seed)
    for name in names:
        ATTACKS.require_known(name, others=FITTED)
    _refuse_idle(values, names)
    return names


def _refuse_idle(values: flags.FlagValues, names: list[str]) -> None:
    """Rejects flags of attacks that are not among --attacks."""
    owners = {"pgd_steps": "pgd", "pgd_restarts": "pgd", "pgd_loss": "pgd", "pgd_decay": "pgd"}
    owners |= {"apgd_loss": "apgd", "schedule": "attnet_paper"}
    require_used(
        values, {flag: (one in names, f"{one} among --attacks") for flag, one in owners.items()}
    )


def pixel_ranges(values: flags.FlagValues) -> list[tuple[float, float]]:
    """Returns the pixel range (low, high) of every --model."""
    given = [pixel_range(one) for one in values.bounds]
    return _for_each_model(values, "bounds", given, BOX)


def pixel_range(text: str) -> tuple[float, float]:
    """Returns the (low, high) that a value of --bounds states."""
    try:
        low, high = (float(bound) for bound in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    require(low < high, "--bounds=LOW,HIGH with LOW < HIGH, as --bounds=0,1", text)
    return low, high


def model_outputs(values: flags.FlagValues) -> list[str | None]:
    """Returns the output that gives the logits of every --model, None for its only one."""
    return _for_each_model(values, "model_output", values.model_output, None)


def _for_each_model(values: Any, flag: str, given: list[Any], default: Any) -> list[Any]:
    """Returns a value of `given` for every --model; a single one is that of all."""
    given, count = given or [default], len(values.model)
    require(len(given) in (1, count), f"--{flag} once, or for each of {count} models", len(given))
    return given * count if len(given) == 1 else given


def attack_options(
    values: flags.FlagValues, names: list[str], classes: tuple[str, ...] | None = None
) -> dict[str, dict[str, Any]]:
    """Returns attack name -> the constructor options that the flags set.

    Args:
      values: `flags.FLAGS`.
      names: of the attacks.
      classes: names of the dataset's classes; None: not known yet, and class 0 stands for a name.
    """
    options: dict[str, dict[str, Any]] = {name: {} for name in names}
    flagged = {
        "pgd": {
            "steps": values.pgd_steps,
            "restarts": values.pgd_restarts,
            "loss": values.pgd_loss,
            "decay": values.pgd_decay,
        },
        "apgd": {"loss": values.apgd_loss},
    }
    for name in set(names) & set(flagged):
        options[name] |= flagged[name]
    if values.target is not None:
        target: Any = values.target
        if classes is None:
            target = target if target in CHOSEN_TARGETS else 0
        elif target in classes:
            target = classes.index(target)
        elif target.isdigit():
            target = int(target)
        aimed = [n for n in names if n not in FITTED and "target" in _parameters(ATTACKS[n])]
        require(bool(aimed), "an attack that takes a target class with --target", ",".join(names))
        for name in aimed:
            options[name]["target"] = target
    return options


def _parameters(kind: Callable[..., Any]) -> Any:
    return inspect.signature(kind).parameters


def radii(values: flags.FlagValues) -> list[Radius]:
    """Returns the radii of --eta or --epsilon, ascending, on the scale of [-1, 1]."""
    given = _radii_as_given(values)
    return [given[place] for place in radius_order(values)]


def radius_order(values: flags.FlagValues) -> list[int]:
    """The places in which --eta or --epsilon has the ascending radii."""
    given = _radii_as_given(values)
    return sorted(range(len(given)), key=lambda at: (largest(given[at]), radius_text(given[at])))


def _radii_as_given(values):
    require_one_radius(values)
    flag = "eta" if values.epsilon is None else "epsilon"
    texts: list[str] = values[flag].value or []
    try:
        found = [as_radius(flag, text) for text in texts]
    except ConfigError:
        found = []
    wanted = f"radii --{flag} > 0 (0.3 or 8/255; 0.1:0.2:0.3 per channel), separated by commas"
    require(bool(found), wanted, ",".join(texts))
    different = len(set(found)) == len(found)
    require(different, f"--{flag} of different radii", ",".join(texts))
    return [radius if flag == "eta" else eta_of(radius) for radius in found]


def path_and_name(given: str) -> tuple[str, str | None]:
    """Splits NAME=PATH; a PATH alone has no name."""
    name, separator, path = given.partition("=")
    return (path, name) if separator and not os.path.exists(given) else (given, None)
