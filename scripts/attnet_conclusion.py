"""What the measurements say on the hypotheses about the paper's AttNet, in sentences.

Every sentence follows from results/section4/attnet_protocol.json and from records that other pages
have. Imports no TensorFlow.
"""

import dataclasses
import math
from collections.abc import Iterable

from mmtf.reports import read_json
from scripts.attnet_fit import error_of, fit_of, in_common, nearest, needed, verdict_of
from scripts.attnet_hypotheses import (
    ETAS,
    HYPOTHESES,
    KS,
    LONG,
    LONGER,
    NETS,
    TOLERANCE,
    WIDTH,
    Protocol,
    found,
    key_of,
    printed,
    run_of,
)
from scripts.blocks import RESULTS
from scripts.paper.cells import Track
from scripts.paper.records import Results

TITLES = {"undefended": "undefended", "minimax_grad": "Minimax-Grad"}
GAME = "minimax_attnet"
# The paper's schedule, and what cat and mouse makes.
HARDENED = RESULTS / "section4" / "hardened_minimax_grad.json"
CELLS, KERAS = RESULTS / "cells", Track("mnist", "keras", "fast")
CAT_AND_MOUSE = Track("mnist", "tutorial", "fast")
BRIEF = Track("mnist", "tutorial", "brief")
# Share of MNIST's 10,000 test images that are not of the class 8, of which there are 974.
EIGHTS = 0.9026
VERDICTS = {
    "fits": "Of the other hypotheses these fit",
    "does not fit": "An error is further than that from the printed one under",
    "does not fit, by PGD-40": "PGD-40 falls short of a printed error in a ball at least as large, "
    "and no attack network can be expected to pass it, under",
    "cannot fit": "With one error of the undefended net for all radii, where the printed ones "
    "differ by more than twice the tolerance, these cannot fit",
    "open": "Not decided",
}


def conclusion(record: dict) -> list[str]:
    """Returns paragraphs that say which hypotheses fit, as the record has it.

    Args:
      record: of `scripts.attnet_protocol`, with the keys cells and runs.
    """
    cells = record["cells"]
    balls = {k: fit for k in KS if (fit := fit_of(cells, Protocol(k=k))).errors}
    if not balls:
        return ["There are no measurements yet."]
    fitting = [k for k, fit in balls.items() if fit.verdict == "fits"]
    still = [k for k, fit in balls.items() if fit.verdict == "open"]
    names = ", ".join(map(str, balls))
    if fitting:
        names = ", ".join(f"k = {k}" for k in fitting)
        said = [f"**One k fits all eight errors within {TOLERANCE:g}: {names}.**"]
    elif still:
        said = [f"Not decided: k = {', '.join(map(str, still))} lack errors."]
    else:
        said = [f"**No measured k fits all eight errors within {TOLERANCE:g}** (k = {names})."]
    missing = [
        f"{TITLES[net]} at {eta:g}"
        for net in NETS
        for eta in ETAS
        if not any((net, eta) in fit.errors for fit in balls.values())
    ]
    if missing:
        said[0] += (
            f" One error that is too far decides; {_and(missing)} were measured at no k, and no k "
            "has all eight."
            if not any(fit.complete for fit in balls.values())
            else f" {_and(missing)} were measured at no k."
        )
    if (best := nearest(cells)) is not None:
        k, fit = best
        net, eta = fit.worst
        said[0] += (
            f" At eta {eta:g}, where the printed errors are far from 0 and 1, k = {k} is the "
            f"nearest: rms {fit.rms:.3f}, greatest deviation {fit.greatest:.3f} ({TITLES[net]})."
        )
    said.append(_common(cells))
    others = {
        one.title: verdict_of(cells, one.protocol)
        for one in HYPOTHESES
        if one.protocol and one.protocol != Protocol(k=one.protocol.k)
    }
    for verdict, text in VERDICTS.items():
        if names := [title for title, one in others.items() if one == verdict]:
            said.append(f"{text}: {'; '.join(names)}.")
    said += [*_game_text(cells), *_single_step(record)]
    said += [*_training_mode(cells), *_steps(cells), *_classifiers(cells)]
    return said


def _common(cells: list[dict]) -> str:
    wanted = [needed(cells, net, eta) for net in NETS for eta in ETAS]
    low, high = in_common(wanted)
    if low.k < high.k:
        above = f"k > {low.k:g}" if high.k == math.inf else f"{low.k:g} < k < {high.k:g}"
        return f"If AttNet's error grows with k, the measured errors leave {above}."
    if low.k == math.inf:
        whole = math.ceil(WIDTH / low.eta)
        return (
            f"No k fits {TITLES[low.net]} at {low.eta:g}: the ball is the whole box from "
            f"k = {whole} on, and AttNet's error is not the printed one there."
        )
    return (
        "If AttNet's error grows with k, no k between the measured ones does either: "
        f"{TITLES[low.net]} at {low.eta:g} asks for k > {low.k:g}, {TITLES[high.net]} at "
        f"{high.eta:g} for k < {high.k:g}."
    )


def _game_text(cells: list[dict]) -> list[str]:
    """Minimax-AttNet's errors in the ball of its own attack, beside the printed ones."""
    at_one = {
        eta: rows[0]["error"]
        for eta in ETAS
        if (rows := Results(str(CELLS)).of(KERAS, eta, GAME, "attnet_paper_curr"))
    }
    told = [_game_sentence("k = 1 (committed cells, Keras' initializer)", at_one)]
    for k in KS:
        given = {eta: error_of(cells, GAME, eta, Protocol(k=k)) for eta in ETAS}
        errors = {eta: error for eta, error in given.items() if error is not None}
        if errors:
            told.append(_game_sentence(f"k = {k}", errors))
    if len(told) == 1:
        told.append("Other balls were not tried.")
    return [f"Network games: Minimax-AttNet, trained and attacked in one ball. {' '.join(told)}"]


def _game_sentence(name: str, errors: dict[float, float]) -> str:
    far = [f"{eta:g}" for eta, one in errors.items() if abs(one - printed(GAME, eta)) > TOLERANCE]
    pairs = ", ".join(
        f"{one:.3f} (paper {printed(GAME, e):.3f}) at {e:g}" for e, one in errors.items()
    )
    verdict = f"further than {TOLERANCE:g} at {', '.join(far)}" if far else f"within {TOLERANCE:g}"
    return f"At {name}: {pairs}; {verdict}."


def _single_step(record: dict) -> list[str]:
    """What the runs say on overfitting to FGSM: this record's, and two that other pages have."""
    told = []
    if run := record["runs"].get(run_of(*LONG)):
        told.append(_overfitting(run))
        told += _broken(record["cells"])
    else:
        told.append("Training without dropout, as the hypothesis has it, was not run.")
    full = {one["attack"]: one["error"] for one in read_json(HARDENED)["results"]}
    rounds = {
        attack: Results(str(CELLS)).of(CAT_AND_MOUSE, 0.3, "adv_fgsm80", attack)[0]["error"]
        for attack in ("fgsm80", "fgsm_curr", "pgd_curr", "attnet_paper_curr")
    }
    told.append(
        "Minimax-Grad by the paper's schedule, all 100,000 steps at eta 0.3 with dropout, does not "
        f"overfit: FGSM {full['fgsm_curr']:.3f}, PGD-40 {full['pgd_curr']:.3f}, the paper's AttNet "
        f"{full['attnet_paper_curr']:.3f}. Cat and mouse does: Adv FGSM80 (tutorial's initializer, "
        f"fast schedule, eta 0.3) errs on {rounds['fgsm80']:.3f} under FGSM80, "
        f"{rounds['fgsm_curr']:.3f} under FGSM-curr, {rounds['pgd_curr']:.3f} under PGD-40, and "
        f"{rounds['attnet_paper_curr']:.3f} under the paper's AttNet at k = 1 (the paper: "
        f"{printed('adv_fgsm80', 0.3):.3f})."
    )
    return [f"(d) {' '.join(told)}"]


def _overfitting(run: dict) -> str:
    """Whether PGD's error parts from FGSM's in the long single-step training."""
    last = run["curve"][-1]
    lowest = min(run["curve"], key=lambda point: point["pgd_curr"])
    seen = "is not seen"
    if last["pgd_curr"] - last["fgsm_curr"] > 0.5:
        seen = "is seen"
    elif last["pgd_curr"] - lowest["pgd_curr"] > TOLERANCE:
        seen = "begins"
    steps = f"{run['training']['steps']:,} of the 100,000 steps"
    steps = steps.replace("100,000 of the 100,000", "all 100,000")
    return (
        f"In {steps} of LWA without dropout at eta 0.4 overfitting to FGSM {seen}: at the end FGSM "
        f"errs on {last['fgsm_curr']:.3f} and PGD-10 on {last['pgd_curr']:.3f} of the same "
        f"{last['n']} test images; PGD-10 erred least, on {lowest['pgd_curr']:.3f}, after "
        f"{lowest['step']:,} steps."
    )


def _broken(cells: list[dict]) -> list[str]:
    """The final errors of the long single-step training, beside the printed one of AttNet."""
    names = {"fgsm": "FGSM", "pgd": "PGD-40", "attnet": "AttNet"}
    keys = {one: key_of(run_of(*LONG), LONG[1], Protocol(), one) for one in names}
    errors = {one: cell["error"] for one, key in keys.items() if (cell := found(cells, key))}
    if len(errors) < len(names):
        return []
    told = ", ".join(f"{names[one]} {error:.3f}" for one, error in errors.items())
    near = abs(errors["attnet"] - printed(NETS[1], LONG[1])) <= TOLERANCE
    return [
        f"In float32 on more images: {told}. The printed {printed(NETS[1], LONG[1]):.3f} of AttNet "
        f"on Minimax-Grad is {'' if near else 'not '}explained by it."
    ]


def _steps(cells: list[dict]) -> list[str]:
    """Whether the attack networks are trained for long enough, and the most that they reach."""
    told = []
    longer = LONGER.protocol or Protocol()
    shorter = dataclasses.replace(longer, steps=Protocol().steps)
    for net in NETS:
        pair = [error_of(cells, net, ETAS[0], one) for one in (shorter, longer)]
        if None not in pair:
            told.append(
                f"At k = {longer.k} AttNet errs on {pair[0]:.3f} of {TITLES[net]} at "
                f"{ETAS[0]:g} after {shorter.steps:,} steps, on {pair[1]:.3f} after "
                f"{longer.steps:,}."
            )
    known = Results(str(CELLS)).of(BRIEF, 0.3, "no_defense", "attnet_paper_curr")
    here = error_of(cells, NETS[0], 0.3, Protocol())
    if known and here is not None:
        told.append(
            f"At k = 1 and eta 0.3 {Protocol().steps:,} steps give {here:.3f} of the undefended "
            f"net, 1,500 in a committed cell of another training {known[0]['error']:.3f}."
        )
    free = [one["error"] for one in cells if one.get("clip") in ("box", "nothing")]
    if free and max(free) == EIGHTS:
        told.append(
            f"Without a ball AttNet errs on {EIGHTS:.4f}. This is the share of test images that "
            "are not eights, as if AttNet turned every image, an eight or not, into an eight: even "
            "so it does not reach 1.000."
        )
    return [" ".join(told)] if told else []


def _training_mode(cells: list[dict]) -> list[str]:
    """What active dropout alone does to a classifier."""
    net, eta = NETS[1], ETAS[0]
    modes = [
        error_of(cells, net, eta, Protocol(mode=mode), attack)
        for attack in ("none", "fgsm")
        for mode in ("training", "inference")
    ]
    if None in modes:
        return []
    return [
        f"(e) {TITLES[net]} at {eta:g} errs on {modes[0]:.3f} of clean images with its dropout "
        f"active and on {modes[1]:.3f} without, under FGSM on {modes[2]:.3f} and {modes[3]:.3f}."
    ]


def _classifiers(cells: list[dict]) -> list[str]:
    """How near the classifiers are to the paper's, before AttNet."""
    told = []
    for net in NETS:
        for attack, column, title in (("none", "none", "clean"), ("fgsm", "fgsm_curr", "FGSM")):
            given = {eta: error_of(cells, net, eta, Protocol(), attack) for eta in ETAS}
            errors = {eta: error for eta, error in given.items() if error is not None}
            if attack == "none" and net == NETS[0]:  # one net for all radii
                errors = dict(list(errors.items())[:1])
            if errors:
                ours = " / ".join(f"{error:.3f}" for error in errors.values())
                theirs = " / ".join(f"{printed(net, eta, column):.3f}" for eta in errors)
                at = "" if len(errors) == len(ETAS) else f" at {_listed(errors)}"
                told.append(f"{TITLES[net]}, {title}{at}: {ours} ({theirs})")
    if not told:
        return []
    text = f"The classifiers at eta {_listed(ETAS)}, the paper's errors in parentheses: "
    text += f"{'; '.join(told)}."
    fragile = found(cells, key_of(NETS[0], ETAS[0], Protocol(), "fgsm"))
    if fragile and fragile["ci_high"] < printed(NETS[0], ETAS[0], "fgsm_curr"):
        text += (
            " The paper's undefended net is more fragile than the one here: for it AttNet's "
            "printed error would ask for a smaller k."
        )
    return [text]


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _listed(etas: Iterable[float]) -> str:
    return ", ".join(f"{eta:g}" for eta in etas)
