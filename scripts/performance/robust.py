"""Time to robustness: the table of docs/performance.md."""

from mmtf.reports.markdown import markdown_table
from scripts.blocks import where

ROBUST = {
    "mmtf": "mmtf, minimax_grad",
    "mmtf_all": "mmtf, minimax_grad",
    "mmtf_fused": "mmtf, minimax_grad --penalty=fused",
    "art": "ART, AdversarialTrainer with FGSM, constant 1e-3",
    "art_scheduled": "ART, AdversarialTrainer with FGSM, mmtf's fast schedule",
}


def _each(runs: list[dict], name: str) -> str:
    return ",".join(dict.fromkeys(str(run[name]) for run in runs))


def _met_from(run: dict, targets: dict[str, float]) -> str:
    """Seconds at the first point from which on every point keeps to both targets; "" if none."""
    since = ""
    for point in reversed(run["points"]):
        if any(point[name] > bound for name, bound in targets.items()):
            break
        since = f"{point['seconds']:.0f}"
    return since


def section(record: dict) -> str:
    """Seconds to the targets, a line for each run, and how they were measured."""
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
    header = ["training", "precision", "seed", "steps", "training, s", "clean", "FGSM-curr"]
    header += ["targets met", "met from, s", *(["PGD-40"] if counts else [])]
    runs = [{**run, "who": _today(run)} for run in record["runs"]]
    who, seeds = (_each(runs, name) for name in ("who", "seed"))
    pgd = f"PGD-40 of {max(counts):,} images, one random start. " if counts else ""
    bounds = " and ".join(f"{name} <= {bound}" for name, bound in record["targets"].items())
    return (
        f"{markdown_table(header, lines)}\n\nTargets: {bounds} on {last['n']:,} test images of "
        f"{record['dataset']}, eta {record['eta']:g}. For a run with a schedule, the errors at its "
        f"end count{_constant(record)}. Times include tracing but not the measurement of errors. "
        f"Each run is a separate process; the kinds of training alternate. {pgd}"
        f"{where(record)}. Made by `python -m benchmarks.time_to_robust --who={who} "
        f"--seeds={seeds} --output=FILE`."
    )


def _today(run: dict) -> str:
    """Returns the value of --who that repeats a run; older runs of `mmtf` are now `mmtf_all`."""
    return "mmtf_all" if run["who"] == "mmtf" and penalty_every(run) == 1 else run["who"]


def _by(run: dict) -> str:
    """Formats the kind of training, with the share of examples in Minimax-Grad's penalty."""
    if not run["who"].startswith("mmtf"):
        return ROBUST[run["who"]]
    every = penalty_every(run)
    examples = "all examples" if every == 1 else f"one example in {every}"
    return f"{ROBUST[run['who']]}, penalty on {examples}"


def penalty_every(run: dict) -> int:
    """Returns k if Minimax-Grad's penalty was computed on one example in k."""
    return run["config"]["game_options"].get("penalty_every", 1)


def _constant(record: dict) -> str:
    if all(run["who"] != "art" for run in record["runs"]):
        return ""
    return (
        "; ART with a constant rate is measured after each epoch and stopped when both targets are "
        f"met or after {record['limit']:g} s. Choosing the epoch by test errors favors it"
    )
