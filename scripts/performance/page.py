"""The generated blocks of docs/performance.md."""

import pathlib

from mmtf.reports import read_json
from mmtf.reports.markdown import replace_block
from scripts.performance import autoattack, fit, gpu, main_job, peers, robust, summary

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = ROOT / "results" / "benchmarks"
PAGE = ROOT / "docs" / "performance.md"
FIGURES = ROOT / "docs" / "figures"
NOT_MEASURED = "**No record of this is committed.**"


def kind_of(path: pathlib.Path) -> str:
    """The CPU's instruction set, by which a record of the peers is named.

    Example:
      >>> kind_of(pathlib.Path("results/benchmarks/peers-avx2.json"))
      'avx2'
    """
    return path.stem.removeprefix("peers-")


def peer_records() -> dict[str, dict]:
    """The committed records of the peers, by kind of CPU."""
    return {kind_of(path): read_json(path) for path in sorted(RECORDS.glob("peers-*.json"))}


def rendered() -> str:
    """The page with its blocks as the records have them."""
    text, records = PAGE.read_text(), peer_records()
    generated = {
        "ratios": peers.ratios(records),
        "peers": "\n\n".join(
            peers.section(kind, record, f"{FIGURES.name}/performance-{kind}.png")
            for kind, record in records.items()
        ),
    }
    runs = [read_json(path) for path in sorted(RECORDS.glob("time_to_robust*.json"))]
    attacks = [read_json(path) for path in sorted(RECORDS.glob("autoattack-*.json"))]
    gpu_record = read_json(RECORDS / "gpu.json")
    jobs = [read_json(path) for path in sorted(RECORDS.glob("main_job-*.json"))]
    lines = [summary.block(records, runs, gpu_record, attacks), f"- {main_job.line(jobs)}"]
    generated |= {"summary": "\n".join(lines), "main job": main_job.section(jobs)}
    for name, pattern, of in (
        ("autoattack", "autoattack-*", autoattack),
        ("robust", "time_to_robust*", robust),
        ("gpu", "gpu", gpu),
        ("fit", "fit_step", fit),
    ):
        tables = [of.section(read_json(path)) for path in sorted(RECORDS.glob(f"{pattern}.json"))]
        generated[name] = "\n\n".join(tables) or NOT_MEASURED
    for name, content in generated.items():
        text = replace_block(text, name, content)
    return text
