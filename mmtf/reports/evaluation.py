"""What `python -m mmtf.evaluate` leaves: a frame, Markdown, and one HTML page that needs no net."""

import base64
import html
from typing import Any

import pandas as pd

from mmtf.radius import radius_title
from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.markdown import markdown_table

MARK = " !"
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")


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
    return frame.assign(in_doubt=frame.defense.isin(doubted) & (frame.attack != "none"))


def payoff_frame(record: dict, eta: float | str) -> pd.DataFrame:
    """Defenses x attacks at one radius: `error (robust accuracy) [95 % interval of the error]`.

    An error rate in doubt ends in `!`. Of an attack with a target class the success rate follows,
    the share of the images classified as their target, with its interval.
    """
    rows = {}
    for row in evaluation_frame(record).itertuples():
        if row.eta == eta:
            mark = MARK if row.in_doubt else ""
            text = f"{error_text(row.error)} [{row.ci_low:.4f}, {row.ci_high:.4f}]{mark}"
            text += target_text(row)
            rows.setdefault(row.defense, {})[row.attack] = text
    return pd.DataFrame.from_dict(rows, orient="index")


def target_text(row: Any) -> str:
    """`, target reached 0.5000 [0.4012, 0.5988]` for a targeted attack, else nothing.

    Args:
      row: of `evaluation_frame`.
    """
    rate = getattr(row, "target_rate", None)
    if rate is None or pd.isna(rate):
        return ""
    return f", target reached {rate:.4f} [{row.target_low:.4f}, {row.target_high:.4f}]"


def record_radius(record: dict, eta: float | str) -> str:
    """One radius of a record on both scales, for a title."""
    standardized = record.get("preprocess") == "standardize_per_image"
    return radius_title(eta, record["norm"], standardized=standardized)


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
        tests = record["comparisons"].get(str(eta))
        if tests:
            parts.append(markdown_table(*_tests(tests)))
    parts.append(_settings(record))
    parts += ["## Signs of masked gradients", *(f"- {text}" for text in _signs(record))]
    return "\n\n".join(parts) + "\n"


def evaluation_html(record: dict, galleries: dict[str, list[bytes]]) -> str:
    """A self-contained page: heat maps, error against eta, adversarial images, tests and signs.

    Args:
      record: of `mmtf.evaluate`.
      galleries: title -> PNG images.
    """
    title = _title(record)
    body = [f"<h1>{html.escape(title)}</h1>"]
    for eta in record["etas"]:
        body += [f"<h2>{record_radius(record, eta)}</h2>", _heat_map(record, eta)]
        tests = record["comparisons"].get(str(eta))
        if tests:
            body.append(_table(*_tests(tests)))
    if len({eta for eta in record["etas"] if not isinstance(eta, str)}) > 1:
        body += ["<h2>Error against eta</h2>", _curves(record)]
    body.append(f"<p>{html.escape(_settings(record))}</p>")
    body.append("<h2>Signs of masked gradients</h2><ul>")
    body += [f"<li>{html.escape(text)}</li>" for text in _signs(record)] + ["</ul>"]
    for name, images in galleries.items():
        body.append(f"<h3>{html.escape(name)}</h3>")
        for image in images:
            data = base64.b64encode(image).decode()
            body.append(f'<img alt="" width="84" src="data:image/png;base64,{data}">')
    style = (
        "body{font:14px sans-serif;margin:2em;max-width:70em}td,th{padding:.3em .6em;"
        "text-align:right}table{border-collapse:collapse}img{image-rendering:pixelated;margin:2px}"
    )
    page = "\n".join(body)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style>{page}</html>\n"
    )


def _title(record):
    where = f"{record['dataset']}, {record['norm']}, n = {record['n']:,}"
    return f"{HEADING.capitalize()} on {where}"


def _settings(record):
    """What the attacks were given, in one line."""
    told = []
    for name, options in record["attacks"].items():
        if "schedule" in options:
            told.append(f"{name}: {options['net']}, {options['schedule']['steps']:,} steps")
        elif options:
            shown = {key: _option_text(key, one, record) for key, one in options.items()}
            told.append(f"{name}: " + ", ".join(f"{key} {one}" for key, one in shown.items()))
    if record.get("attack_precision", "float32") != "float32":  # older records do not say
        told.append(f"attacks compute in {record['attack_precision']}")
    if record["eot_samples"] > 1:
        told.append(f"gradient-based attacks average {record['eot_samples']} calls")
    return f"Seed {record['seed']}. " + "; ".join(told) + ("." if told else "")


def _option_text(key, value, record):
    names = record.get("class_names")
    if key == "target" and names and value in range(len(names)):
        return f"{value} ({names[value]})"
    return value


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


def _table(header, rows):
    head = "".join(f"<th>{html.escape(str(one))}</th>" for one in header)
    lines = [
        "<tr>" + "".join(f"<td>{html.escape(str(one))}</td>" for one in row) + "</tr>"
        for row in rows
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _heat_map(record, eta):
    frame = evaluation_frame(record)
    frame = frame[frame.eta == eta]
    attacks = list(dict.fromkeys(frame.attack))
    lines = ["<tr><th></th>" + "".join(f"<th>{html.escape(a)}</th>" for a in attacks) + "</tr>"]
    for defense in dict.fromkeys(frame.defense):
        cells, own = [], frame[frame.defense == defense].set_index("attack")
        for attack in attacks:
            if attack not in own.index:
                cells.append("<td></td>")
                continue
            row = own.loc[attack]
            red = round(255 - 155 * row.error)
            tip = f"[{row.ci_low:.4f}, {row.ci_high:.4f}], n = {row.n}{target_text(row)}"
            mark = MARK if row.in_doubt else ""
            cells.append(
                f'<td title="{tip}" style="background:rgb(255,{red},{red})">'
                f"{error_text(row.error)}{mark}</td>"
            )
        lines.append(f"<tr><th>{html.escape(defense)}</th>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _curves(record):
    """One SVG a defense: error against eta, a line an attack."""
    frame = evaluation_frame(record)
    frame = frame[
        [not isinstance(eta, str) for eta in frame.eta]
    ]  # arrays have no place on an axis
    low, high = frame.eta.min(), frame.eta.max()
    parts = []
    for defense in dict.fromkeys(frame.defense):
        lines = []
        own = frame[frame.defense == defense]
        for number, attack in enumerate(dict.fromkeys(own.attack)):
            points = own[own.attack == attack].sort_values("eta")
            places = [
                (40 + 300 * (row.eta - low) / (high - low), 180 - 160 * row.error)
                for row in points.itertuples()
            ]
            color = COLORS[number % len(COLORS)]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            lines.append(f'<polyline fill="none" stroke="{color}" points="{path}"/>')
            y = 20 + 14 * number
            name = html.escape(attack)
            lines.append(f'<text x="350" y="{y}" fill="{color}" font-size="11">{name}</text>')
        axes = (
            f'<line x1="40" y1="180" x2="340" y2="180" stroke="#888"/>'
            f'<line x1="40" y1="20" x2="40" y2="180" stroke="#888"/>'
            f'<text x="10" y="24" font-size="11">1</text>'
            f'<text x="10" y="184" font-size="11">0</text>'
            f'<text x="40" y="196" font-size="11">{low:g}</text>'
            f'<text x="325" y="196" font-size="11">{high:g}</text>'
            f'<text x="40" y="12" font-size="12">{html.escape(defense)}</text>'
        )
        height = max(205, 40 + 14 * own.attack.nunique())
        parts.append(f'<svg width="460" height="{height}">{axes}{"".join(lines)}</svg>')
    return "".join(parts)
