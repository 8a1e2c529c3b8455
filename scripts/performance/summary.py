"""The conclusions at the top of docs/performance.md, from the committed records."""

import re
from collections.abc import Iterable

from scripts.performance import gpu, peers, robust

# What users compare, with the works' names for readers.
COMPARED = {
    "fgsm_step": "Training step with FGSM",
    "minimax_grad_step": "Training step of Minimax-Grad",
    "pgd": "PGD, 40 steps",
    "apgd": "APGD, 50 steps",
    "autoattack": "AutoAttack, 100 images",
}
INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512",
    "avx512f": "AVX-512 without bfloat16",
    "avx2": "AVX2",
    "": "no AVX2",
}


def cpu_name(record: dict) -> str:
    """The CPU's product name and the vector instructions that were used.

    Example:
      >>> hardware = {"cpu": "Intel(R) Xeon(R) Processor", "instructions": "amx_bf16"}
      >>> cpu_name({"hardware": hardware})
      'Intel Xeon, AMX'
      >>> hardware |= {"instructions": "avx2"}
      >>> cpu_name({"hardware": hardware, "environment": {"ONEDNN_MAX_CPU_ISA": "AVX2"}})
      'Intel Xeon held to AVX2'
    """
    hardware = record["hardware"]
    product = re.sub(r"\(R\)| Processor", "", hardware["cpu"]).strip()
    held = record.get("environment", {}).get("ONEDNN_MAX_CPU_ISA")
    return f"{product}{' held to' if held else ','} {INSTRUCTIONS[hardware['instructions']]}"


def ratios(
    records: dict[str, dict], work: str, ours: str = "float32", theirs: str = "float32"
) -> dict[str, float]:
    """mmtf's speed over the fastest peer's, by the name of the CPU.

    Args:
      records: by kind of CPU, as `benchmarks.peers.speed` writes them.
      work: of WORKS.
      ours: the precision in which mmtf computes.
      theirs: the precision in which the peers compute.
    """
    found = {}
    for record in records.values():
        against = peers.fastest(record["rows"], work, ours, theirs)
        if against:
            found[cpu_name(record)] = against[0]
    return found


def block(
    records: dict[str, dict], robustness: list[dict], gpu_record: dict, attacks: Iterable[dict]
) -> str:
    """Markdown: a list, one conclusion a line.

    Args:
      records: of the peers, by kind of CPU.
      robustness: as `benchmarks.time_to_robust` writes them.
      gpu_record: as `benchmarks.gpu` writes it.
      attacks: as `benchmarks.peers.speed --works=autoattack` writes them.
    """
    lines = [_work(records, work, title) for work, title in COMPARED.items()]
    lines += [attacked(record) for record in attacks]
    lines += [_bfloat16(records), _start(records), *_robustness(robustness), _gpu(gpu_record)]
    return "\n".join(f"- {line}" for line in lines)


def attacked(record: dict) -> str:
    """AutoAttack on many images: how fast, and on how many images it succeeds."""
    rows = record["rows"]
    found = {
        name: peers.fastest(rows, "autoattack", name, "float32") for name in record["precisions"]
    }
    said = [f"{one[0]:.2f} times as fast in {name}" for name, one in found.items() if one]
    broken = [
        f"{peers.short_name(one['variant'])} in {one['precision']} "
        f"{round(one['error'] * one['count'])}"
        for one in rows
    ]
    return (
        f"**AutoAttack, {rows[0]['count']:,} images**: {', '.join(said)} as the original in "
        f"float32 ({cpu_name(record)}). Misclassified then: {', '.join(broken)}."
    )


def _span(values: list[float], digits: int = 2) -> str:
    """`1.05` or `1.05 to 1.19`."""
    ends = dict.fromkeys(f"{value:.{digits}f}" for value in (min(values), max(values)))
    return " to ".join(ends)


def _work(records: dict[str, dict], work: str, title: str) -> str:
    found = ratios(records, work)
    each = "; ".join(f"{cpu}: {ratio:.2f}" for cpu, ratio in found.items())
    named = {peers.fastest(one["rows"], work, "float32", "float32") for one in records.values()}
    who = " or ".join(sorted({peers.NAMES[one[1]] for one in named if one}))
    return f"**{title}**: {_span(list(found.values()))} times as fast as {who} ({each})."


def _bfloat16(records: dict[str, dict]) -> str:
    said = []
    for work in ("fgsm_step", "pgd", "apgd", "autoattack"):
        if found := ratios(records, work, "bfloat16"):
            said.append(f"{COMPARED[work]} {_span(list(found.values()))}")
    alike = []
    for work in ("fgsm_step", "minimax_grad_step"):
        if found := ratios(records, work, "bfloat16", "bfloat16"):
            alike.append(f"{COMPARED[work]} {_span(list(found.values()))}")
    text = (
        "**bfloat16** on CPUs with bfloat16 instructions, compared with the fastest other library "
        f"in float32: {'; '.join(said)} times as fast."
    )
    return f"{text} Compared with the fastest in bfloat16: {'; '.join(alike)}." if alike else text


def _start(records: dict[str, dict]) -> str:
    seconds: dict[str, list[float]] = {"mmtf": [], "torch": []}
    for record in records.values():
        for row in record["rows"]:
            if row["work"] == "start_up" and row["variant"] in seconds:
                seconds[row["variant"]].append(1 / row["per_second"])
    ours, theirs = (_span(values, 1) for values in seconds.values())
    return (
        f"**Start-up** is slower than PyTorch's: a new process finishes its first FGSM step after "
        f"{ours} s, with PyTorch after {theirs} s."
    )


def _robustness(records: list[dict]) -> list[str]:
    """Seconds to the paper's errors: by the default schedule, and beside ART."""
    default_lines, beside_art = [], []
    for record in records:
        cpu = cpu_name(record)
        ours = [run for run in record["runs"] if run["who"] == "mmtf"]
        default = [run for run in ours if robust.penalty_every(run) == 2]
        if default:
            clean, fgsm = (record["targets"][name] for name in ("clean", "fgsm"))
            met = sum(run["met"] for run in default)
            seconds = _span([run["seconds"] for run in default], 0)
            default_lines.append(
                f"**Time to robustness**: Minimax-Grad's default schedule on MNIST takes {seconds} "
                f"s ({default[0]['precision']}; {cpu}) and then has the paper's errors at eta "
                f"{record['eta']:g}, at most {clean:g} on clean images and {fgsm:g} under FGSM, "
                f"with {met} of {len(default)} seeds."
            )
        by = {run["who"]: run for run in record["runs"]}
        if "art" in by:
            ours, art, constant = (by[who] for who in ("mmtf", "art_scheduled", "art"))
            missed = "misses" if not constant["met"] else "meets"
            beside_art.append(
                f"**Compared with ART** ({ours['precision']}; {cpu}; one seed): both errors are "
                f"met at the end of {ours['seconds']:.0f} s of Minimax-Grad with its penalty on "
                f"all examples, and of {art['seconds']:.0f} s of ART's FGSM training with mmtf's "
                f"learning rates; at a constant rate ART {missed} them in "
                f"{constant['seconds']:,.0f} s."
            )
    return default_lines + beside_art


def _gpu(record: dict) -> str:
    run, first = record["paper"], record["first"]
    return (
        f"**GPU**: the paper's {run['steps']:,} Minimax-Grad steps of 128 images take "
        f"{run['seconds']:.1f} s on one {record['device']} ({run['precision']}, XLA), "
        f"{gpu.beside_steps(run):.1f} s of them for tracing and compiling; these take "
        f"{gpu.beside_steps(first):.1f} s in the first process on a machine."
    )
