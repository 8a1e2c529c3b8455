"""mmtf beside its peers: tables, ratios and sentences of docs/performance.md."""

from benchmarks.peers.speed.works import WORKS
from mmtf.reports.markdown import markdown_table
from scripts.blocks import where

ONCE = {work.title for work in WORKS.values() if work.once}
OUR_PGD = ("pgd", "mmtf")
# Ours by their penalty: what the ratios call them, and what a sentence adds.
PENALTIES = {
    "mmtf": ("", ""),
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
    ("AutoAttack, bfloat16 : float32", "autoattack", "bfloat16", "float32", None),
)
NAMES = {
    "mmtf": "mmtf",
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
    """Markdown: a line for each variant of each work, in the order of the record."""
    lines = []
    for row in rows:
        peak = f"{row['of_peak']:.0%}" if row["of_peak"] else ""
        lines.append(
            [
                WORKS[row["work"]].title,
                row["precision"],
                NAMES[row["variant"]],
                rate(row["per_second"], row["unit"]),
                f"{row['times_ours']:.2f}",
                f"{row['cpu'] / row['count'] * 1000:.1f}",
                f"{row['peak_mib']:,.0f}",
                peak,
            ]
        )
    header = ["work", "precision", "library", "rate", "time / mmtf's", "CPU ms per unit"]
    header += ["peak MiB", "share of peak"]
    return markdown_table(header, lines)


def rate(per_second: float, unit: str) -> str:
    """Formats units of work per second, or seconds per unit if they are less than 1.5 per second.

    Example:
      >>> rate(11.53, "step"), rate(1.25, "image"), rate(0.25, "start")
      ('11.5 steps/s', '0.8 s each', '4.0 s each')
    """
    if per_second < 1.5:
        return f"{1 / per_second:.1f} s each"
    return f"{per_second:.{0 if per_second >= 100 else 1}f} {unit}s/s"


def section(kind: str, record: dict, figure: str) -> str:
    """Returns the part of docs/performance.md on one record: figure, table, notes.

    Args:
      kind: of CPU, see `scripts.performance.page.kind_of`.
      record: as `benchmarks.peers.speed` writes it.
      figure: path of its chart, relative to the page.
    """
    peaks = ", ".join(f"{name} {value:,.0f}" for name, value in record["matmul_gflops"].items())
    versions = ", ".join(f"{name} {value}" for name, value in record["peers"].items())
    left = ", ".join(
        f"{name} (no {', '.join(lacks)})" for name, lacks in record["left_out"].items()
    )
    once = [WORKS[name].title for name in dict.fromkeys(one["work"] for one in record["rows"])]
    once = [title for title in once if title in ONCE]
    alone = f" ({', '.join(once)}: one block in a new process)" if once else ""
    notes = [
        f"Batch {record['batch']}, eta {record['eta']:g}, medians of {record['blocks']} timed "
        f"blocks; blocks of the libraries alternate{alone}. Peak rate of 2,048 x 2,048 matrix "
        f"products, GFLOP/s: {peaks}. {where(record)}. Compared libraries: {versions}."
    ]
    notes.append(made_by(record))
    notes += prices(record["rows"])
    errors = [one["error"] for one in record["rows"] if (one["work"], one["variant"]) == OUR_PGD]
    if errors:
        notes.append(
            "mmtf drops images from the batch once they are misclassified; at the end of PGD on "
            f"this classifier {errors[0]:.0%} of them are. The other libraries compute every step "
            "for every image. The share of peak counts all steps of all images for every library."
        )
    if left:
        notes.append(f"Left out, not installed: {', '.join(left)}.")
    if record.get("precisions") == ["float32"]:
        notes.append("bfloat16 is emulated on this CPU: `--precision=auto` takes float32.")
    image = f"![Time relative to mmtf's]({figure})"
    title = f"### On a CPU with {kind}"
    return "\n\n".join([title, image, table(record["rows"]), *notes])


def made_by(record: dict) -> str:
    """The command of a record, which does not hold the path that it was written to.

    Args:
      record: as `benchmarks.peers.speed` writes it.

    Example:
      >>> record = {"command": ["__main__.py", "--blocks=3"]}
      >>> made_by(record | {"environment": {"ONEDNN_MAX_CPU_ISA": "AVX2"}})
      'Made by `ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.peers.speed --blocks=3`.'
    """
    held = record.get("environment", {}).get("ONEDNN_MAX_CPU_ISA")
    command = [f"ONEDNN_MAX_CPU_ISA={held}"] if held else []
    command += ["python -m benchmarks.peers.speed", *record["command"][1:]]
    if any(one.startswith("--works") for one in command):  # refused without a path
        command.append("--output=FILE")
    return f"Made by `{' '.join(command)}`."


def ratios(records: dict[str, dict]) -> str:
    """Returns Markdown: mmtf's speed relative to the fastest other library, a column per record.

    Args:
      records: by kind of CPU, as `benchmarks.peers.speed` writes them.
    """
    lines = []
    for title, work, ours, theirs, peer in RATIOS:
        cells = [_ratio(record["rows"], work, ours, theirs, peer) for record in records.values()]
        if any(cells):
            lines.append([title, *cells])
    return markdown_table(["speed of mmtf / fastest other library", *records], lines)


def fastest(
    rows: list[dict], work: str, ours: str, theirs: str, peer: str | None = None
) -> tuple[float, str] | None:
    """Returns mmtf's rate divided by that of the fastest peer, and the peer's variant.

    Args:
      rows: rows of a record.
      work: a key of WORKS.
      ours: mmtf's precision.
      theirs: the peers' precision.
      peer: the only variant to compare with; None: all.

    Returns:
      (ratio, variant); None if mmtf or all peers have no rate.
    """
    rates = _rates(rows, work)
    others = {
        who: speed
        for (precision, who), speed in rates.items()
        if precision == theirs and who not in OURS and who == (peer or who)
    }
    if not others or (ours, "mmtf") not in rates:
        return None
    who = max(others, key=lambda name: others[name])
    return rates[ours, "mmtf"] / others[who], who


def short_name(variant: str) -> str:
    """The first word of a peer's name.

    Example:
      >>> short_name("torch"), short_name("cleverhans")
      ('PyTorch', 'CleverHans')
    """
    return NAMES[variant].split(" ")[0].rstrip(",")


def _rates(rows: list[dict], work: str) -> dict[tuple[str, str], float]:
    """Returns (precision, variant) -> units of work per second."""
    of_work = (row for row in rows if row["work"] == work)
    return {(row["precision"], row["variant"]): row["per_second"] for row in of_work}


def _ratio(rows: list[dict], work: str, ours: str, theirs: str, peer: str | None) -> str:
    """Formats a ratio and the peer, `1.21 CleverHans`; in parentheses those of other penalties."""
    found = fastest(rows, work, ours, theirs, peer)
    if found is None:
        return ""
    ratio, who = found
    rates = _rates(rows, work)
    more = [
        f"{by} {rates[ours, variant] / rates[theirs, who]:.2f}"
        for variant, (by, _) in PENALTIES.items()
        if by and (ours, variant) in rates
    ]
    said = f"{ratio:.2f}" + (f" ({', '.join(more)})" if more else "")
    return said if peer else f"{said} {short_name(who)}"


def prices(rows: list[dict]) -> list[str]:
    """Returns the cost of a Minimax-Grad step relative to a step with FGSM, for each penalty."""
    rates = {(one["work"], one["precision"], one["variant"]): one["per_second"] for one in rows}
    said = []
    for variant, (_, by) in PENALTIES.items():
        times = [
            f"{rates['fgsm_step', precision, 'mmtf'] / speed:.2f} in {precision}"
            for (work, precision, who), speed in rates.items()
            if (work, who) == ("minimax_grad_step", variant)
            and ("fgsm_step", precision, "mmtf") in rates
        ]
        if times:
            said.append(f"Time of a Minimax-Grad step{by} / FGSM step: {', '.join(times)}.")
    return [" ".join(said)] if said else []
