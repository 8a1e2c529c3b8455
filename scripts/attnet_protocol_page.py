"""Renders the hypotheses on the paper's AttNet beside its printed errors.

    python -m scripts.attnet_protocol --render

Reads results/section4/attnet_protocol.json; rewrites the blocks `attnet ...` of
docs/reproduction.md. Every verdict follows from the record. Imports no TensorFlow.
"""

import math
import os

from mmtf.errors import require
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from mmtf.reports.paper import paper_figure
from scripts.attnet_conclusion import CELLS, GAME, KERAS, TITLES, conclusion
from scripts.attnet_fit import Fit, error_of, fit_of, nearest, needed, verdict_of
from scripts.attnet_hypotheses import (
    ETAS,
    HYPOTHESES,
    KS,
    LONG,
    LONGER,
    NETS,
    Protocol,
    printed,
    run_of,
)
from scripts.blocks import DOCS, RESULTS, command, rewrite, where
from scripts.paper.records import Results

RECORD = RESULTS / "section4" / "attnet_protocol.json"
PAGE = DOCS / "reproduction.md"
# Not by its name, which tools that read imports would take for one: it imports this module.
MEASURED_BY = __name__.removesuffix("_page")
# Points of a training that the page shows, beside its last.
SHOWN = 26
# Defenses of Tables 4 and 5 that committed cells have, in the ball of eta.
FURTHER = {
    "adv_fgsm1": "Adv FGSM1",
    "adv_fgsm80": "Adv FGSM80",
    "alt_attnet": "Alt-AttNet",
    GAME: "Minimax-AttNet",
}
FIGURES = [f"{TITLES[net]}, {eta:g}" for net in NETS for eta in ETAS]


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
    """Rewrites the page from the record at `path`.

    Raises:
      ConfigError: there is none.
    """
    require(os.path.isfile(path), f"a record of `python -m {MEASURED_BY}`", str(path))
    rewrite(PAGE, blocks(read_json(path)))


def _error(
    cells: list[dict], net: str, eta: float, protocol: Protocol, attack: str = "attnet"
) -> str:
    error = error_of(cells, net, eta, protocol, attack)
    return "" if error is None else f"{error:.3f}"


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
        shown = [_error(cells, net, eta, one.protocol) for net in NETS for eta in ETAS]
        letter = f"({one.letter})" if one.letter else ""
        verdict = "" if one is LONGER else verdict_of(cells, one.protocol)
        rows.append([letter, one.title, *shown, *_deviations(fit), verdict])
    return markdown_table(["", "hypothesis", *FIGURES, "rms", "greatest", "verdict"], rows)


def _deviations(fit: Fit) -> list[str]:
    return [f"{fit.rms:.3f}", f"{fit.greatest:.3f}"] if fit.errors else ["", ""]


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
                place = net, eta, Protocol(k=k)
                texts = [_error(cells, *place, attack) for attack in ("attnet", "fgsm", "pgd")]
                row.append(" / ".join(texts) if any(texts) else "")
        if any(row[1:]):
            rows.append(row)
    return markdown_table(["k", *FIGURES], rows)


def _training(record: dict) -> str:
    run = record["runs"].get(run_of(*LONG))
    if run is None:
        return "Not run."
    curve = run["curve"]
    shown = curve[:: math.ceil(len(curve) / SHOWN)]
    shown += [] if shown[-1] is curve[-1] else curve[-1:]
    rows = [
        [f"{one['step']:,}", *(f"{one[name]:.3f}" for name in ("none", "fgsm_curr", "pgd_curr"))]
        for one in shown
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
            texts = [
                _error(cells, net, eta, protocol, attack)
                for protocol in (Protocol(), Protocol(k=best))
                for attack in ("fgsm", "attnet")
            ]
            if any(texts):
                own = Protocol(k=best) if net == GAME else Protocol()
                clean = _error(cells, net, eta, own, "none")
                title = TITLES.get(net, f"{FURTHER[GAME]}, trained at {best} eta")
                rows.append([title, f"{eta:g}", *_printed_pair(net, eta), clean, *texts])
    committed = Results(str(CELLS))
    for net, title in FURTHER.items():
        for eta in ETAS:
            texts = []
            for attack in ("none", "fgsm_curr", "attnet_paper_curr"):
                found = committed.of(KERAS, eta, net, attack)
                texts.append(f"{found[0]['error']:.3f}" if found else "")
            if any(texts):
                row = [f"{title} *", f"{eta:g}", *_printed_pair(net, eta), *texts, "", ""]
                rows.append(row)
    header = ["defense", "eta", "paper: FGSM", "paper: AttNet", "no attack"]
    header += ["FGSM, eta", "AttNet, eta"]
    header += [f"FGSM, {best} eta", f"AttNet, {best} eta"]
    return markdown_table(header, rows)


def _printed_pair(net: str, eta: float) -> list[str]:
    """The errors under FGSM and AttNet that Table 4 or 5 prints; Table 3's FGSM if it differs."""
    table = 5 if net in (GAME, "alt_attnet") else 4
    own, attnet = (printed(net, eta, one, table) for one in ("fgsm_curr", "attnet_curr"))
    third = paper_figure("mnist", eta, net, "fgsm_curr", 3)
    other = f" (Table 3: {third:.3f})" if third not in (None, own) else ""
    return [f"{own:.3f}{other}", f"{attnet:.3f}"]


def _commands(record: dict) -> str:
    seconds = sum(one.get("cpu_seconds", 0) for one in record["cells"])
    # The record has the last command; cells of the network games are of one with their k.
    games = {name.split("-")[1][1:] for name in record["runs"] if name.startswith(GAME)}
    flags = [f"--games_k={k}" for k in sorted(games)]
    told = command(record | {"command": [MEASURED_BY, *flags]}, MEASURED_BY)
    commits = dict.fromkeys(one["commit"][:12] for one in record["cells"] if "commit" in one)
    lines = [f"- `{told}`: {where(record)}"]
    lines[0] += f"; cells of commits {', '.join(commits)}" if commits else ""
    for name, run in record["runs"].items():
        lines.append(f"- {name}: `{command(run)}`, {run['training']['steps']:,} steps")
    lines.append(f"- processor seconds of the cells: {seconds:,.0f}")
    return "\n".join(lines)
