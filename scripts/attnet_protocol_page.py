"""Renders the hypotheses on the paper's AttNet beside its printed errors.

    python -m scripts.attnet_protocol --render

Reads results/section4/attnet_protocol.json; rewrites the blocks `attnet ...` of
docs/reproduction.md. Every verdict follows from the record. Imports no TensorFlow.
"""

import os

from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from scripts.attnet_fit import Fit, fit_of, in_common, nearest, needed, verdict_of
from scripts.attnet_hypotheses import (
    ETAS,
    HYPOTHESES,
    KS,
    LONGER,
    NETS,
    TOLERANCE,
    Protocol,
    found,
    key_of,
    printed,
    run_of,
)
from scripts.blocks import DOCS, RESULTS, command, rewrite, where
from scripts.paper.cells import Track
from scripts.paper.records import Results

RECORD = RESULTS / "section4" / "attnet_protocol.json"
PAGE = DOCS / "reproduction.md"
TITLES = {"undefended": "undefended", "minimax_grad": "Minimax-Grad"}
FIGURES = [f"{TITLES[net]}, {eta:g}" for net in NETS for eta in ETAS]
GAME = "minimax_attnet"
VERDICTS = {
    "fits": "Of the other hypotheses these fit",
    "does not fit": "An error is too far under",
    "does not fit, by PGD-40": "PGD-40 falls short of a printed error in a ball at least as large, "
    "and no attack network can be expected to pass it, under",
    "cannot fit": "With one error of the undefended net for all radii, where the printed ones "
    "differ by more than twice the tolerance, these cannot fit",
    "open": "Not decided",
}
# The long single-step training; the paper's schedule; and what cat and mouse makes.
LONG = "lwa-eta0.4"
HARDENED = RESULTS / "section4" / "hardened_minimax_grad.json"
CELLS, KERAS = RESULTS / "cells", Track("mnist", "keras", "fast")
CAT_AND_MOUSE = Track("mnist", "tutorial", "fast")


def blocks(record: dict) -> dict[str, str]:
    """Returns name -> Markdown of the generated blocks."""
    cells = record["cells"]
    return {
        "attnet hypotheses": _hypotheses(),
        "attnet figures": _figures(cells),
        "attnet conclusion": "\n\n".join(conclusion(record)),
        "attnet needed": _needed(cells),
        "attnet bounds": _bounds(cells),
        "attnet training": _training(record),
        "attnet claims": _claims(cells),
        "attnet commands": _commands(record),
    }


def write(path: str | os.PathLike) -> None:
    """Rewrites the page from the record at `path`."""
    rewrite(PAGE, blocks(read_json(path)))


def _error(cells: list[dict], run: str, eta: float, protocol: Protocol, attack: str) -> str:
    cell = found(cells, key_of(run, eta, protocol, attack))
    return "" if cell is None else f"{cell['error']:.3f}"


def _hypotheses() -> str:
    rows = {}
    for one in HYPOTHESES:
        letter = f"({one.letter})" if one.letter else ""
        title = "k = 2, 3, ..." if one.letter == "a" else one.title
        rows.setdefault((letter, title), [letter, title, one.did, one.predicts])
    header = ["", "hypothesis", "the paper would have", "then one would see"]
    return markdown_table(header, list(rows.values()))


def _figures(cells: list[dict]) -> str:
    paper = [f"{printed(net, eta):.3f}" for net in NETS for eta in ETAS]
    rows = [["", "**the paper**", *paper, "", "", ""]]
    for one in (*HYPOTHESES, LONGER):
        if one.protocol is None:
            continue
        fit = fit_of(cells, one.protocol)
        shown = [_error(cells, *_place(net, eta, one.protocol)) for net in NETS for eta in ETAS]
        letter = f"({one.letter})" if one.letter else ""
        verdict = "" if one is LONGER else verdict_of(cells, one.protocol)
        rows.append([letter, one.title, *shown, *_deviations(fit), verdict])
    return markdown_table(["", "hypothesis", *FIGURES, "rms", "greatest", "verdict"], rows)


def _place(net: str, eta: float, protocol: Protocol) -> tuple[str, float, Protocol, str]:
    return run_of(net, eta, protocol), eta, protocol, "attnet"


def _deviations(fit: Fit) -> list[str]:
    return [f"{fit.rms:.3f}", f"{fit.greatest:.3f}"] if fit.errors else ["", ""]


def conclusion(record: dict) -> list[str]:
    """Returns paragraphs that say which hypotheses fit, as the record has it."""
    cells = record["cells"]
    balls = {k: fit for k in KS if (fit := fit_of(cells, Protocol(k=k))).errors}
    if not balls:
        return ["There are no measurements yet."]
    fitting = [k for k, fit in balls.items() if fit.verdict == "fits"]
    best = nearest(cells)
    said = []
    if fitting:
        names = ", ".join(f"k = {k}" for k in fitting)
        said.append(f"**One k fits all eight errors within {TOLERANCE:g}: {names}.**")
    elif all(fit.verdict == "does not fit" for fit in balls.values()):
        said.append(
            f"**No measured k fits all eight errors within {TOLERANCE:g}** "
            f"(k = {', '.join(map(str, balls))})."
        )
    else:
        still = [k for k, fit in balls.items() if fit.verdict == "open"]
        said.append(f"Not decided: k = {', '.join(map(str, still))} lack errors.")
    if best is not None:
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
    said += [*_game_text(cells), *_single_step(record), *_classifiers(cells)]
    return said


def _common(cells: list[dict]) -> str:
    wanted = [needed(cells, net, eta) for net in NETS for eta in ETAS]
    low, high = in_common(wanted)
    if low.k < high.k:
        return (
            f"If AttNet's error grows with k, each error is met by some k, and all of them by the "
            f"same k between {low.k:g} and {high.k:g}."
            if high.k < float("inf")
            else f"If AttNet's error grows with k, all eight ask for a k above {low.k:g}."
        )
    return (
        "If AttNet's error grows with k, no k between the measured ones does either: "
        f"{TITLES[low.net]} at {low.eta:g} asks for k > {low.k:g}, {TITLES[high.net]} at "
        f"{high.eta:g} for k < {high.k:g}."
    )


def _needed(cells: list[dict]) -> str:
    rows = []
    for net in NETS:
        rows.append([TITLES[net], *(needed(cells, net, eta).text for eta in ETAS)])
    return markdown_table(["k that the printed error asks for", *(f"{e:g}" for e in ETAS)], rows)


def _bounds(cells: list[dict]) -> str:
    rows = []
    for k in KS:
        row = [f"{k}"]
        for net in NETS:
            for eta in ETAS:
                place = run_of(net, eta), eta, Protocol(k=k)
                texts = [_error(cells, *place, attack) for attack in ("attnet", "fgsm", "pgd")]
                row.append(" / ".join(texts) if any(texts) else "")
        if any(row[1:]):
            rows.append(row)
    return markdown_table(["k", *FIGURES], rows)


def _game_text(cells: list[dict]) -> list[str]:
    """Minimax-AttNet's errors in the ball of its own attack, beside the printed ones."""
    at_one = {
        eta: rows[0]["error"]
        for eta in ETAS
        if (rows := Results(str(CELLS)).of(KERAS, eta, GAME, "attnet_paper_curr"))
    }
    told = [_game_sentence("k = 1 (committed cells, Keras' initializer)", at_one)]
    for k in KS:
        errors = {
            eta: cell["error"]
            for eta in ETAS
            if (cell := found(cells, key_of(*_place(GAME, eta, Protocol(k=k)))))
        }
        if errors:
            told.append(_game_sentence(f"k = {k}", errors))
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
    if run := record["runs"].get(LONG):
        last = run["curve"][-1]
        seen = "is seen" if last["pgd_curr"] - last["fgsm_curr"] > 0.5 else "is not seen"
        told.append(
            f"Overfitting to FGSM {seen} in {run['training']['steps']:,} of the 100,000 steps of "
            f"LWA without dropout at eta 0.4: at the end FGSM errs on {last['fgsm_curr']:.3f} and "
            f"PGD-10 on {last['pgd_curr']:.3f} of the same {last['n']} test images."
        )
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


def _classifiers(cells: list[dict]) -> list[str]:
    """How near the classifiers are to the paper's, before AttNet."""
    told = []
    for net in NETS:
        for eta in ETAS:
            place = run_of(net, eta), eta, Protocol()
            clean, fgsm = (_error(cells, *place, attack) for attack in ("none", "fgsm"))
            if clean and fgsm:
                told.append(
                    f"{TITLES[net]} at {eta:g}: clean {clean} ({printed(net, eta, 'none'):.3f}), "
                    f"FGSM {fgsm} ({printed(net, eta, 'fgsm_curr'):.3f})"
                )
    text = f"The classifiers, the paper's errors in parentheses: {'; '.join(told)}."
    cell = found(cells, key_of(NETS[0], ETAS[0], Protocol(), "fgsm"))
    if cell and cell["ci_high"] < printed(NETS[0], ETAS[0], "fgsm_curr"):
        text += (
            " The paper's undefended net is more fragile than the one here: for it AttNet's "
            "printed error would ask for a smaller k."
        )
    return [text]


def _training(record: dict) -> str:
    run = record["runs"].get(LONG)
    if run is None:
        return "Not run."
    rows = [
        [f"{one['step']:,}", *(f"{one[name]:.3f}" for name in ("none", "fgsm_curr", "pgd_curr"))]
        for one in run["curve"]
    ]
    return markdown_table(["step", "no attack", "FGSM", "PGD-10"], rows)


def _claims(cells: list[dict]) -> str:
    found_k = nearest(cells)
    if found_k is None:
        return "Not measured."
    best = found_k[0]
    rows = []
    for net in (*NETS, GAME):
        for eta in ETAS:
            near = Protocol(k=best)
            run = run_of(net, eta, near)
            texts = [
                _error(cells, run_of(net, eta, Protocol()), eta, Protocol(), "fgsm"),
                _error(cells, run_of(net, eta, Protocol()), eta, Protocol(), "attnet"),
                _error(cells, run, eta, near, "fgsm"),
                _error(cells, run, eta, near, "attnet"),
            ]
            if any(texts):
                paper = [f"{printed(net, eta, one):.3f}" for one in ("fgsm_curr", "attnet_curr")]
                rows.append([TITLES.get(net, "Minimax-AttNet"), f"{eta:g}", *paper, *texts])
    header = ["defense", "eta", "paper: FGSM", "paper: AttNet", "FGSM, eta", "AttNet, eta"]
    header += [f"FGSM, {best} eta", f"AttNet, {best} eta"]
    return markdown_table(header, rows)


def _commands(record: dict) -> str:
    seconds = sum(one.get("cpu_seconds", 0) for one in record["cells"])
    own = " ".join(["python -m scripts.attnet_protocol", *record["command"][1:]])
    lines = [f"- `{own}`: {where(record)}"]
    for name, run in record["runs"].items():
        lines.append(f"- {name}: `{command(run)}`, {run['training']['steps']:,} steps")
    lines.append(f"- processor seconds of the cells: {seconds:,.0f}")
    return "\n".join(lines)
