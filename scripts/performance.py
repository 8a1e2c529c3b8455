"""Renders docs/performance.md's tables and bar charts from the committed records.

    python -m scripts.performance

Reads peers-*.json, time_to_robust*.json and gpu.json of results/benchmarks, which `python -m
benchmarks.peers.speed`, `benchmarks.time_to_robust` and `benchmarks.gpu` write. No TensorFlow.
"""

import pathlib

from absl import app

from benchmarks.peers.speed.works import WORKS
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table, replace_block
from scripts.gradient_games import where

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORDS = ROOT / "results" / "benchmarks"
PAGE = ROOT / "docs" / "performance.md"
FIGURES = ROOT / "docs" / "figures"
ONCE = {work.title for work in WORKS.values() if work.once}
OUR_PGD = ("pgd", "mmtf")
# Ours by their penalty: what the ratios call them, and what a sentence adds.
PENALTIES = {
    "mmtf": ("", ""),
    "mmtf_fused": ("fused", " by the fused penalty"),
    "mmtf_every2": ("one in two", " with the penalty on one example in two"),
}
OURS = tuple(PENALTIES)
# What is put beside whom: title, work, our precision, that of the peers, the peer where not the
# fastest.
RATIOS = (
    ("FGSM step, float32 : float32", "fgsm_step", "float32", "float32", None),
    ("FGSM step, bfloat16 : bfloat16", "fgsm_step", "bfloat16", "bfloat16", None),
    ("FGSM step, bfloat16 : float32", "fgsm_step", "bfloat16", "float32", None),
    ("FGSM step, float32 : ART as documented", "fgsm_step", "float32", "float32", "art"),
    ("FGSM step, bfloat16 : ART as documented", "fgsm_step", "bfloat16", "float32", "art"),
    ("Minimax-Grad step, float32 : float32", "minimax_grad_step", "float32", "float32", None),
    ("Minimax-Grad step, bfloat16 : bfloat16", "minimax_grad_step", "bfloat16", "bfloat16", None),
    ("Minimax-AttNet step, float32 : float32", "attnet_step", "float32", "float32", None),
    ("Minimax-AttNet step, bfloat16 : bfloat16", "attnet_step", "bfloat16", "bfloat16", None),
    ("PGD-40, float32 : float32", "pgd", "float32", "float32", None),
    ("PGD-40, bfloat16 : float32", "pgd", "bfloat16", "float32", None),
    ("APGD-50, float32 : float32", "apgd", "float32", "float32", None),
    ("APGD-50, bfloat16 : float32", "apgd", "bfloat16", "float32", None),
    ("AutoAttack, float32 : float32", "autoattack", "float32", "float32", None),
)
NOT_MEASURED = "**No record of this is committed.**"
ROBUST = {
    "mmtf": "mmtf, minimax_grad",
    "mmtf_all": "mmtf, minimax_grad",
    "mmtf_fused": "mmtf, minimax_grad --penalty=fused",
    "art": "ART, AdversarialTrainer with FGSM, constant 1e-3",
    "art_scheduled": "ART, AdversarialTrainer with FGSM, mmtf's fast schedule",
}
NAMES = {
    "mmtf": "mmtf",
    "mmtf_fused": "mmtf, --penalty=fused",
    "mmtf_every2": "mmtf, --penalty_every=2",
    "cleverhans": "CleverHans in a tf.function",
    "torch": "PyTorch, by hand",
    "foolbox": "Foolbox (TensorFlow)",
    "foolbox_torch": "Foolbox (PyTorch)",
    "art": "ART",
    "art_function": "ART, training step compiled",
    "autoattack": "AutoAttack (PyTorch)",
}


def table(rows: list[dict]) -> str:
    """Markdown: one row a variant, in the order of the record."""
    lines = []
    for row in rows:
        peak = f"{row['of_peak']:.0%}" if row["of_peak"] else ""
        lines.append(
            [
                WORKS[row["work"]].title,
                row["precision"],
                NAMES[row["variant"]],
                _rate(row["per_second"], row["unit"]),
                f"{row['times_ours']:.2f}",
                f"{row['cpu'] / row['count'] * 1000:.1f}",
                f"{row['peak_mib']:,.0f}",
                peak,
            ]
        )
    header = ["work", "precision", "who", "rate", "time / mmtf's", "CPU ms each", "MiB", "of peak"]
    return markdown_table(header, lines)


def _rate(per_second, unit):
    if per_second < 1:
        return f"{1 / per_second:.1f} s each"
    return f"{per_second:.{0 if per_second >= 100 else 1}f} {unit}s/s"


def kind_of(path: pathlib.Path) -> str:
    """The CPU's instructions, by which a record of the peers is named, and which works it has.

    Example:
      >>> kind_of(pathlib.Path("results/benchmarks/peers-avx2.json"))
      'avx2'
      >>> kind_of(pathlib.Path("results/benchmarks/peers-avx2-steps.json"))  # not all works
      'avx2-steps'
    """
    return path.stem.removeprefix("peers-")


def peers(kind: str, record: dict) -> str:
    """What docs/performance.md says of one record: figure, table, notes."""
    peaks = ", ".join(f"{name} {value:,.0f}" for name, value in record["matmul_gflops"].items())
    versions = ", ".join(f"{name} {value}" for name, value in record["peers"].items())
    left = ", ".join(
        f"{name} (no {', '.join(lacks)})" for name, lacks in record["left_out"].items()
    )
    once = [WORKS[name].title for name in dict.fromkeys(one["work"] for one in record["rows"])]
    once = [title for title in once if title in ONCE]
    alone = f" ({', '.join(once)}: one block, cold)" if once else ""
    notes = [
        f"Batch {record['batch']}, eta {record['eta']:g}, medians of {record['blocks']} blocks in "
        f"turns{alone}. 2,048-matmul peak, GFLOP/s: {peaks}. {where(record)}. Peers: {versions}."
    ]
    # A part of the works is measured only into a named file, whose name no record has.
    part = ["--output=FILE"] if any("--works" in one for one in record["command"]) else []
    arguments = " ".join([*record["command"][1:], *part])
    notes.append(f"Made by `python -m benchmarks.peers.speed {arguments}`.")
    notes += _prices(record["rows"])
    fallen = [one["error"] for one in record["rows"] if (one["work"], one["variant"]) == OUR_PGD]
    if fallen:
        notes.append(
            f"Examples that have fallen leave mmtf's batch, {fallen[0]:.0%} of them by PGD's end "
            "on this classifier; the peers take every step with every image, and `of peak` counts "
            "all of them for everybody."
        )
    if left:
        notes.append(f"Left out, not installed: {', '.join(left)}.")
    if record.get("precisions") == ["float32"]:
        notes.append("bfloat16 is emulated on this CPU: `--precision=auto` takes float32.")
    figure = f"![Time relative to mmtf's]({FIGURES.name}/performance-{kind}.png)"
    title = f"### On a CPU with {kind.replace('-', ', ')}"
    return "\n\n".join([title, figure, table(record["rows"]), *notes])


def ratios(records: dict[str, dict]) -> str:
    """Markdown: how many times as fast as its fastest peer mmtf is, a column for each record.

    Args:
      records: by kind of CPU, as `benchmarks.peers.speed` writes them.
    """
    lines = []
    for title, work, ours, theirs, peer in RATIOS:
        cells = [_ratio(record["rows"], work, ours, theirs, peer) for record in records.values()]
        if any(cells):
            lines.append([title, *cells])
    header = ["mmtf : the fastest peer", *(kind.replace("-", ", ") for kind in records)]
    return markdown_table(header, lines)


def _ratio(rows, work, ours, theirs, peer):
    """`1.21 CleverHans`; in brackets by other penalties, where there are any."""
    rates = {}
    for row in rows:
        if row["work"] == work:
            rates[row["precision"], row["variant"]] = row["per_second"]
    others = {
        who: rate
        for (precision, who), rate in rates.items()
        if precision == theirs and who not in OURS and who == (peer or who)
    }
    if not others or (ours, "mmtf") not in rates:
        return ""
    who = max(others, key=others.get)
    said = f"{rates[ours, 'mmtf'] / others[who]:.2f}"
    more = [
        f"{by} {rates[ours, variant] / others[who]:.2f}"
        for variant, (by, _) in PENALTIES.items()
        if by and (ours, variant) in rates
    ]
    said += f" ({', '.join(more)})" if more else ""
    return said if peer else f"{said} {NAMES[who].split(' ')[0].rstrip(',')}"


def _prices(rows):
    """What a step of Minimax-Grad costs in steps with FGSM, a sentence for each penalty."""
    rates = {(one["work"], one["precision"], one["variant"]): one["per_second"] for one in rows}
    said = []
    for variant, (_, by) in PENALTIES.items():
        times = [
            f"{rates['fgsm_step', precision, 'mmtf'] / rate:.2f} in {precision}"
            for (work, precision, who), rate in rates.items()
            if (work, who) == ("minimax_grad_step", variant)
            and ("fgsm_step", precision, "mmtf") in rates
        ]
        if times:
            said.append(f"A Minimax-Grad step{by}, in steps with FGSM: {', '.join(times)}.")
    return [" ".join(said)] if said else []


def _each(runs, name):
    return ",".join(dict.fromkeys(str(run[name]) for run in runs))


def _met_from(run, targets):
    """Seconds at the first point from which on every point keeps to both targets; "" if none."""
    since = ""
    for point in reversed(run["points"]):
        if any(point[name] > bound for name, bound in targets.items()):
            break
        since = f"{point['seconds']:.0f}"
    return since


def robust(record: dict) -> str:
    """Seconds to the targets, a line for each run."""
    lines = []
    counts = {run["pgd"]["n"] for run in record["runs"] if "pgd" in run}
    for run in record["runs"]:
        last = run["points"][-1]
        errors = [
            f"{last[name]:.4f} [{last[f'{name}_ci'][0]:.4f}, {last[f'{name}_ci'][1]:.4f}]"
            for name in record["targets"]
        ]
        met = "yes" if run["met"] else "no"
        steps, seconds = f"{last['step']:,}", f"{run['seconds']:.0f}"
        since = _met_from(run, record["targets"])
        lines.append([_by(run), run["precision"], str(run["seed"]), steps, seconds])
        lines[-1] += [*errors, met, since]
        if counts:
            lines[-1].append(f"{run['pgd']['error']:.3f}" if "pgd" in run else "")
    header = ["by", "precision", "seed", "steps", "s of training"]
    header += ["clean", "FGSM-curr", "both met", "from s on", *(["PGD-40"] if counts else [])]
    runs = [{**run, "who": _today(run)} for run in record["runs"]]
    who, seeds = (_each(runs, name) for name in ("who", "seed"))
    pgd = f"PGD-40 of {max(counts):,} images, one random start. " if counts else ""
    bounds = " and ".join(f"{name} <= {bound}" for name, bound in record["targets"].items())
    return (
        f"{markdown_table(header, lines)}\n\nTargets: {bounds} on {last['n']:,} test images of "
        f"{record['dataset']}, eta {record['eta']:g}. A run by a schedule is judged at its "
        f"end{_constant(record)}. Measuring errors is not "
        f"counted, tracing is. Runs are processes of their own, in turns. {pgd}"
        f"{where(record)}. Made by `python -m benchmarks.time_to_robust --who={who} "
        f"--seeds={seeds} --output=FILE`."
    )


def _today(run):
    """What --who is to be for such a run: the default had the penalty on all examples once."""
    return "mmtf_all" if run["who"] == "mmtf" and _every(run) == 1 else run["who"]


def _by(run):
    """Who trained, and on how many examples Minimax-Grad's penalty was."""
    if not run["who"].startswith("mmtf"):
        return ROBUST[run["who"]]
    examples = "all examples" if _every(run) == 1 else f"one example in {_every(run)}"
    return f"{ROBUST[run['who']]}, penalty on {examples}"


def _every(run):
    return run["config"]["game_options"].get("penalty_every", 1)


def _constant(record):
    if all(run["who"] != "art" for run in record["runs"]):
        return ""
    return (
        "; ART at a constant rate at the end of each epoch, by the test errors, until both are "
        f"met or {record['limit']:g} s are over, which favors it"
    )


def gpu(record: dict) -> str:
    """Steps per second, a line for each game, precision, compiler and batch; the paper's run."""
    if not record.get("rows"):  # the benchmark was stopped before them
        return f"{_paper_run(record.get('paper'), record.get('first'))}{where(record)}."
    lines = []
    for row in record["rows"]:
        by = "XLA" if row["xla"] else "TensorFlow"
        rate = f"{row['steps_per_second']:,.1f}"
        lines.append(
            [row["game"], row["precision"], by, f"{row['batch']:,}", rate, f"{row['of_peak']:.0%}"]
        )
    header = ["game", "precision", "compiled by", "batch", "steps/s", "of peak"]
    peaks = ", ".join(f"{name} {value:,.0f}" for name, value in record["matmul_gflops"].items())
    paper = _paper_run(record.get("paper"), record.get("first"))
    return (
        f"{markdown_table(header, lines)}\n\nMedians of blocks of {record['steps']} steps; "
        f"{record['matmul']:,}-matmul peak, GFLOP/s: {peaks} (float32 as TF32 on tensor cores). "
        f"{paper}On {record['device']}; {where(record)}."
    )


def _paper_run(paper, first):
    if not paper:  # rows alone
        return ""
    errors = [
        f"{name} {one['error']:.4f} [{one['interval'][0]:.4f}, {one['interval'][1]:.4f}]"
        for name, one in (("clean", paper["errors"]["none"]), ("FGSM", paper["errors"]["fgsm"]))
    ]
    compiling = (
        ""
        if paper.get("steps_per_second") is None
        else (f", {_beside_steps(paper):.1f} s of them beside the steps")
    )
    if first and first["steps_per_second"] is not None:
        compiling += (
            f" ({_beside_steps(first):.1f} s in the first process on that machine, "
            "before XLA's choices were kept)"
        )
    return (
        f"{paper['steps']:,} Minimax-Grad steps of batch 128 in {paper['precision']} by XLA took "
        f"{paper['seconds']:.1f} s{compiling}: {', '.join(errors)}, "
        f"n = {paper['errors']['none']['n']:,}. "
    )


def _beside_steps(run):
    """Seconds of a run that its steps at their pace do not account for."""
    return run["seconds"] - run["steps"] / run["steps_per_second"]


def draw(kind: str, record: dict) -> None:
    """Time relative to mmtf's, one panel a work."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = {}
    for row in record["rows"]:
        groups.setdefault((row["work"], row["precision"]), []).append(row)
    heights = [len(rows) + 1 for rows in groups.values()]
    figure, panels = plt.subplots(
        len(groups),
        figsize=(7, 0.27 * sum(heights) + 0.4),
        height_ratios=heights,
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    for axes, ((work, precision), rows) in zip(panels[:, 0], groups.items(), strict=True):
        times = [row["times_ours"] for row in rows]
        colors = ["#d62728" if row["variant"] in OURS else "#8c9bb0" for row in rows]
        bars = axes.barh([NAMES[row["variant"]] for row in rows], times, color=colors)
        axes.bar_label(bars, [f"{value:.2f}" for value in times], fontsize=7, padding=2)
        axes.invert_yaxis()
        axes.set_title(f"{WORKS[work].title}, {precision}", fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
        axes.axvline(1, color="#888", lw=0.6)
        axes.margins(x=0.12)
    panels[-1, 0].set_xlabel("time relative to mmtf's", fontsize=8)
    FIGURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURES / f"performance-{kind}.png", dpi=150)
    plt.close(figure)


def peer_records() -> dict[str, dict]:
    """The committed records of the peers, by kind of CPU."""
    return {kind_of(path): read_json(path) for path in sorted(RECORDS.glob("peers-*.json"))}


def rendered() -> str:
    """The page with its blocks as the records have them."""
    text, records = PAGE.read_text(), peer_records()
    generated = {
        "ratios": ratios(records),
        "peers": "\n\n".join(peers(*one) for one in records.items()),
    }
    for name, pattern, table_of in (("robust", "time_to_robust*", robust), ("gpu", "gpu", gpu)):
        tables = [table_of(read_json(path)) for path in sorted(RECORDS.glob(f"{pattern}.json"))]
        generated[name] = "\n\n".join(tables) or NOT_MEASURED
    for name, content in generated.items():
        text = replace_block(text, name, content)
    return text


def main(_):
    PAGE.write_text(rendered())
    records = peer_records()
    for one in records.items():
        draw(*one)
    print(f"rendered {PAGE.relative_to(ROOT)} and {len(records)} figures")


if __name__ == "__main__":
    app.run(main)
