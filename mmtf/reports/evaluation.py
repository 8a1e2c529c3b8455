"""The results of `python -m mmtf.evaluate` as a frame and as Markdown."""

import pandas as pd

from mmtf.reports.about import attack_settings
from mmtf.reports.certified import bracket_lines, entries, radius_lines
from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.markdown import markdown_table
from mmtf.reports.measured import (
    CLEAN,
    VOTE,
    WORST,
    is_certified,
    record_radius,
    target_text,
)
from mmtf.reports.rejection import rejection_lines
from mmtf.reports.smoothed import smoothed_lines

MARK = " !"


def evaluation_frame(record: dict) -> pd.DataFrame:
    """One row per defense x attack x radius.

    Args:
      record: of `mmtf.evaluate`, with `cells` and `signs`.
    """
    doubted = {one["defense"] for one in record["signs"]}
    columns = ["defense", "attack", "eta", "error", "ci_low", "ci_high", "n", "median_distance"]
    if any("target_n" in cell for cell in record["cells"]):
        columns += ["target_rate", "target_low", "target_high", "target_n"]
    frame = pd.DataFrame(record["cells"]).reindex(columns=[*columns, "seconds"])
    frame.insert(4, "robust_accuracy", 1 - frame.error)
    sure = (frame.attack == CLEAN) | frame.attack.map(is_certified)
    return frame.assign(in_doubt=frame.defense.isin(doubted) & ~sure)


def payoff_frame(record: dict, eta: float | str) -> pd.DataFrame:
    """Defenses x attacks at one radius: `error (robust accuracy) [95 % interval of the error]`.

    An error rate in doubt ends in `!`. Of an attack with a target class the success rate follows,
    the share of the images classified as their target, with its interval. Beside certificates the
    columns are `worst >=` and `certified <=`: the true worst case lies between them. Where columns
    are on different numbers of examples, each says its own.
    """
    titles = column_titles(record, eta)
    rows: dict[str, dict[str, str]] = {}
    frame = evaluation_frame(record)
    targets = [target_text(cell) for cell in record["cells"]]
    for row in frame.assign(target=targets).itertuples():
        if row.eta == eta:
            mark = MARK if row.in_doubt else ""
            text = f"{error_text(row.error)} [{row.ci_low:.4f}, {row.ci_high:.4f}]{mark}"
            if row.target:
                text += f", target reached {row.target}"
            rows.setdefault(row.defense, {})[titles[row.attack]] = text
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def column_titles(record: dict, eta: float | str) -> dict[str, str]:
    """Column -> its title in the table of one radius.

    Example:
      >>> cells = [{"attack": "worst", "eta": 0.3, "n": 5000}]
      >>> cells.append({"attack": "certified", "eta": 0.3, "n": 100})
      >>> column_titles({"cells": cells, "certified": [{"eta": 0.3}]}, 0.3)
      {'worst': 'worst >= (n = 5,000)', 'certified': 'certified <= (n = 100)'}
    """
    cells = {one["attack"]: one for one in record["cells"] if one["eta"] == eta}
    proved = bool(entries(record, eta))
    several = len({one["n"] for one in cells.values()}) > 1
    titles = {}
    for name, cell in cells.items():
        bound = is_certified(name) and name != VOTE
        end = " >=" if name == WORST and proved else " <=" if bound else ""
        titles[name] = f"{name}{end}" + (f" (n = {cell['n']:,})" if several else "")
    return titles


def evaluation_markdown(record: dict) -> str:
    """The matrices, the tests and the signs as Markdown."""
    parts = [f"# {_title(record)}"]
    for eta in record["etas"]:
        frame = payoff_frame(record, eta)
        rows = [[name, *map(str, row)] for name, row in zip(frame.index, frame.values, strict=True)]
        parts += [
            f"## {record_radius(record, eta)}",
            markdown_table(["defense", *frame.columns], rows),
        ]
        told = bracket_lines(record, eta) + rejection_lines(record, eta)
        parts += [f"- {line}" for line in told]
        tests = record["comparisons"].get(str(eta))
        if tests:
            parts.append(markdown_table(*_tests(tests)))
    parts += [f"- {line}" for line in radius_lines(record) + smoothed_lines(record)]
    parts.append(_settings(record))
    parts += ["## Signs of masked gradients", *(f"- {text}" for text in _signs(record))]
    return "\n\n".join(parts) + "\n"


def _title(record):
    where = f"{record['dataset']}, {record['norm']}, n = {record['n']:,}"
    return f"{HEADING.capitalize()} on {where}"


def _settings(record):
    """What the attacks were given, in one line."""
    told = [f"{name}: {text}" for name, text in attack_settings(record).items()]
    if record.get("attack_precision", "float32") != "float32":  # older records do not say
        told.append(f"attacks compute in {record['attack_precision']}")
    if record["eot_samples"] > 1:
        told.append(f"gradient-based attacks average {record['eot_samples']} calls")
    return f"Seed {record['seed']}. " + "; ".join(told) + ("." if told else "")


def _signs(record):
    return [one["text"] for one in record["signs"]] or ["none was found by the checks"]


def _tests(tests):
    header = [
        "A",
        "B",
        "error of A (robust accuracy)",
        "error of B (robust accuracy)",
        "p (McNemar)",
        "p (Holm)",
    ]
    rows = [
        [
            one["a"],
            one["b"],
            error_text(one["error_a"]),
            error_text(one["error_b"]),
            f"{one['p']:.2g}",
            f"{one['p_holm']:.2g}",
        ]
        for one in tests
    ]
    return header, rows
