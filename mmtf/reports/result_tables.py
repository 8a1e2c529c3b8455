"""The tables of the HTML report: the matrix of a radius, all its figures, and the paired tests."""

import math
from typing import Any
from xml.etree import ElementTree as ET

from mmtf.reports.headline import names_of, ranked, strongest
from mmtf.reports.markup import element, table
from mmtf.reports.measured import (
    CLEAN,
    KNOWN,
    WORST,
    Measured,
    Radius,
    accuracy,
    accuracy_interval,
    attack_title,
    interval_text,
    percent,
    target_text,
)

LEVEL = 0.05
TITLES = {"peak_memory_mib": "peak memory (MiB)", "target_n": "images with another target"}
MEBIBYTE = 2**20


def summary_table(measured: Measured, eta: Radius) -> ET.Element:
    """A row per model: clean and robust accuracy, and the strongest attack."""
    rows = []
    for name in ranked(measured, eta):
        attacks = names_of(strongest(measured, name, eta))
        cells = [measured.at(name, CLEAN, eta), measured.worst(name, eta)]
        rows.append(
            [
                element("th", name),
                *(_figures(measured, cell) for cell in cells),
                element("td", attacks or "none was run"),
            ]
        )
    header = ["model", "clean accuracy", "robust accuracy", "strongest attack"]
    caption = f"Models at {measured.radius(eta)}, the highest robust accuracy first"
    kept = _without_empty(header, rows)
    return table(*kept, caption=caption, class_="figures cols-m")


def matrix_table(measured: Measured, eta: Radius) -> ET.Element:
    """Attacks x models, or models x attacks if there are more models than attacks.

    A cell holds the robust accuracy, its 95 % interval, and the error.
    """
    attacks, models = measured.attacks_at(eta), measured.defenses
    if len(models) <= len(attacks):
        header = ["attack", *models]
        rows = [
            [
                element("th", attack_title(attack)),
                *(_figures(measured, measured.at(model, attack, eta)) for model in models),
            ]
            for attack in attacks
        ]
    else:
        header = ["model", *map(attack_title, attacks)]
        rows = [
            [
                element("th", model),
                *(_figures(measured, measured.at(model, attack, eta)) for attack in attacks),
            ]
            for model in models
        ]
    caption = (
        f"Robust accuracy at {measured.radius(eta)}, its 95 % interval in percent, and the error"
    )
    return table(header, rows, caption=caption, class_=f"figures {size_of(header)}")


def size_of(header: list[str]) -> str:
    """The class of the style sheet by which a table of so many columns is stacked when narrow."""
    return "cols-s" if len(header) <= 4 else "cols-m" if len(header) <= 6 else "cols-l"


def detail_table(measured: Measured, eta: Radius) -> ET.Element:
    """A row per model and attack with every figure of the record; empty columns are left out."""
    cells = [one for one in measured.record["cells"] if one["eta"] == eta]
    extras = list(dict.fromkeys(key for one in cells for key in one if key not in KNOWN))
    header = ["model and attack", "robust accuracy", "its 95 % interval", "error"]
    header += ["95 % interval of the error", "images", "target reached"]
    header += [TITLES.get(key, key.replace("_", " ")) for key in extras]
    rows = []
    for cell in cells:
        texts = [
            percent(accuracy(cell)),
            f"{interval_text(*accuracy_interval(cell))} %",
            f"{cell['error']:.4f}",
            f"[{cell['ci_low']:.4f}, {cell['ci_high']:.4f}]",
            f"{cell['n']:,}",
            target_text(cell),
            *(value_text(key, cell.get(key)) for key in extras),
        ]
        name = f"{cell['defense']}, {attack_title(cell['attack'])}"
        rows.append([element("th", name), *(element("td", text) for text in texts)])
    kept = _without_empty(header, rows)
    return table(*kept, caption=f"All figures at {measured.radius(eta)}", class_="detail cols-l")


def paired_table(measured: Measured, eta: Radius) -> ET.Element | None:
    """McNemar's tests between the models at one radius; None if there are none."""
    tests = measured.record["comparisons"].get(str(eta))
    if not tests:
        return None
    rows = [
        [
            element("th", f"{one['a']} and {one['b']}"),
            element("td", f"{percent(1 - one['error_a'])} and {percent(1 - one['error_b'])}"),
            element("td", f"{one['error_a']:.4f} and {one['error_b']:.4f}"),
            element("td", f"{one['p']:.2g}"),
            element("td", f"{one['p_holm']:.2g}"),
            element("td", verdict(one)),
        ]
        for one in tests
    ]
    header = ["models", "robust accuracy", "error", "p (McNemar)", "p (Holm)", "in words"]
    return table(header, rows, caption=f"At {measured.radius(eta)}", class_="compact cols-m")


def verdict(test: dict[str, Any]) -> str:
    """What a paired test says at the 5 % level, after Holm's correction.

    Example:
      >>> verdict({"a": "x", "b": "y", "error_a": 0.1, "error_b": 0.5, "p_holm": 0.001})
      'x is more robust'
    """
    if test["p_holm"] >= LEVEL:
        return "no difference beyond chance"
    return f"{test['a'] if test['error_a'] < test['error_b'] else test['b']} is more robust"


def value_text(key: str, value: Any) -> str:
    """A figure that a record may have beside the error, empty if it is missing or not finite.

    Example:
      >>> value_text("seconds", 1.234), value_text("target_rate", 0.5), value_text("seconds", None)
      ('1.23', '50.0 %', '')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if not math.isfinite(value):
        return ""
    if key.endswith("bytes"):
        return f"{value / MEBIBYTE:,.0f} MiB"
    if key.endswith(("rate", "share", "success")) and 0 <= value <= 1:
        return percent(value)
    return f"{value:,.0f}" if isinstance(value, int) or value >= 1000 else f"{value:.3g}"


def _figures(measured: Measured, cell: dict[str, Any] | None) -> ET.Element:
    if cell is None:
        return element("td", "")
    doubt, target = measured.in_doubt(cell), target_text(cell)
    return element(
        "td",
        element("strong", percent(accuracy(cell))),
        element("span", interval_text(*accuracy_interval(cell)), class_="interval"),
        element("span", f"error {cell['error']:.4f}", class_="error"),
        element("span", f"target reached {target}", class_="error") if target else None,
        element("a", "in doubt", href="#checks", class_="doubt") if doubt else None,
        class_="worst" if cell["attack"] == WORST else None,
    )


def _without_empty(header, rows):
    """Header and rows without the columns of which no row has a text."""
    kept = [i for i in range(len(header)) if any("".join(row[i].itertext()) for row in rows)]
    return [header[i] for i in kept], [[row[i] for i in kept] for row in rows]
