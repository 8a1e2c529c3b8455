"""What the measurements say on the hypotheses about the paper's AttNet, in sentences.

Every sentence follows from results/section4/attnet_protocol.json and from records that other pages
have. Imports no TensorFlow.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable

from scripts.attnet_fit import error_of, fit_of, in_common, nearest, needed, verdict_of
from scripts.attnet_hypotheses import (
    ETAS,
    HYPOTHESES,
    KS,
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
from scripts.attnet_overfitting import single_step
from scripts.blocks import RESULTS
from scripts.paper.cells import Track
from scripts.paper.records import Results

TITLES = {"undefended": "undefended", "minimax_grad": "Minimax-Grad"}
GAME = "minimax_attnet"
CELLS, KERAS = RESULTS / "cells", Track("mnist", "keras", "fast")
BRIEF = Track("mnist", "tutorial", "brief")
# Share of MNIST's 10,000 test images that are not of the class 8, of which there are 974.
EIGHTS = 0.9026
VERDICTS = {
    "fits": "Of the other hypotheses these fit",
    "does not fit": f"These do not fit, as an error is further than {TOLERANCE:g} from the printed "
    "one",
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
    said += [*_game_text(cells), *single_step(record)]
    said += [*_training_mode(cells), *_steps(cells), *_classifiers(cells)]
    return said


def _common(cells: list[dict]) -> str:
    wanted = [needed(cells, net, eta) for net in NETS for eta in ETAS]
    possible = [one for one in wanted if one.low.k < math.inf]
    told = []
    if possible:
        low, high = in_common(possible)
        above = f"k > {low.k:g}" if high.k == math.inf else f"{low.k:g} < k < {high.k:g}"
        told = [f"If AttNet's error grows with k, the measured errors leave {above}."]
        if low.k >= high.k:
            told = [
                "If AttNet's error grows with k, no k between the measured ones does either: "
                f"{TITLES[low.net]} at {low.eta:g} asks for k > {low.k:g}, {TITLES[high.net]} at "
                f"{high.eta:g} for k < {high.k:g}."
            ]
    for one in (one.low for one in wanted if one.low.k == math.inf):
        whole = math.ceil(WIDTH / one.eta)
        errors = (error_of(cells, one.net, one.eta, Protocol(k=k)) for k in KS if k >= whole)
        reached = next(error for error in errors if error is not None)
        told.append(
            f"AttNet errs on {reached:.4f} of {TITLES[one.net]} at {one.eta:g} (printed: "
            f"{printed(one.net, one.eta):.3f}) from k = {whole} on, where the ball is the whole "
            f"box. That is {abs(reached - printed(one.net, one.eta)) - TOLERANCE:.3f} beyond the "
            f"tolerance, after {Protocol().steps:,} training steps; more were not tried there."
        )
    return " ".join(told)


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
            told += _unattacked(cells, Protocol(k=k))
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


def _unattacked(cells: list[dict], protocol: Protocol) -> list[str]:
    """Whether the games' own classifiers classify at all."""
    given = {eta: error_of(cells, GAME, eta, protocol, "none") for eta in ETAS}
    errors = {eta: error for eta, error in given.items() if error is not None}
    if not errors:
        return []
    listed = " / ".join(f"{error:.3f}" for error in errors.values())
    told = f"These nets err on {listed} of clean images at {_listed(errors)}"
    if lost := [eta for eta, error in errors.items() if error > 0.5]:
        told += f": at {_listed(lost)} the game leaves no classifier to attack"
    return [f"{told}."]


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
    told = (
        f"(e) {TITLES[net]} at {eta:g} errs on {modes[0]:.3f} of clean images with its dropout "
        f"active and on {modes[1]:.3f} without, under FGSM on {modes[2]:.3f} and {modes[3]:.3f}."
    )
    own = [
        error_of(cells, NETS[0], eta, Protocol(mode="training"), attack)
        for attack in ("none", "attnet")
    ]
    if None not in own:
        told += (
            " The undefended net of this row is another, trained with dropout 0.5: with its "
            f"dropout active it errs on {own[0]:.3f} of clean images and on {own[1]:.3f} under "
            "AttNet."
        )
    return [told]


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
    more = _further(cells, "ci_high", lambda end, paper: end < paper)
    less = _further(cells, "ci_low", lambda end, paper: end > paper)
    for places, word, k in ((more, "more", "smaller"), (less, "fewer", "larger")):
        if places:
            text += (
                f" FGSM breaks {word} images of the paper's nets than of these: {_and(places)}. "
                f"AttNet's printed errors there may ask for a {k} k on the paper's nets."
            )
    return [text + _other_tables(cells)]


def _other_tables(cells: list[dict]) -> str:
    """What Tables 4 and 5 print for FGSM where Table 3, used above, has another error."""
    net = NETS[1]
    three, four = ({eta: printed(net, eta, "fgsm_curr", one) for eta in ETAS} for one in (3, 4))
    other = {eta: error for eta, error in four.items() if error != three[eta]}
    assert all(error == printed(net, eta, "worst", 3) for eta, error in other.items())
    errors = " / ".join(f"{error:.3f}" for error in other.values())
    told = (
        f" These are Table 3's. Tables 4 and 5 print {errors} for {TITLES[net]} under FGSM at "
        f"{_listed(other)}, which are the worst cases of Table 3"
    )
    more = _further(cells, "ci_high", lambda end, paper: end < paper, table=4)
    if f"{TITLES[net]} at {_listed(other)}" in more:
        told += ": by these FGSM breaks more images of the paper's nets"
    return f"{told}."


def _further(
    cells: list[dict],
    end: str,
    beyond: Callable[[float, float], bool],
    table: int | None = None,
) -> list[str]:
    """The nets whose interval under FGSM is on one side of the paper's error, by their radii."""
    said = []
    for net in NETS:
        keys = {eta: key_of(run_of(net, eta), eta, Protocol(), "fgsm") for eta in ETAS}
        etas = [
            eta
            for eta, key in keys.items()
            if (cell := found(cells, key))
            and beyond(cell[end], printed(net, eta, "fgsm_curr", table))
        ]
        said += [f"{TITLES[net]} at {_listed(etas)}"] if etas else []
    return said


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _listed(etas: Iterable[float]) -> str:
    return ", ".join(f"{eta:g}" for eta in etas)
