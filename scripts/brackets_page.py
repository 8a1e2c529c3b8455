"""Renders docs/how_robust.md and its figure from the records of `scripts.brackets`.

    python -m scripts.brackets --render

Every figure and every sentence about one is made from the records. Imports no TensorFlow.
"""

import os
import pathlib
from typing import Any

from mmtf.errors import require
from mmtf.radius import epsilon_of
from mmtf.reports import read_json
from mmtf.reports.band import band_png, band_series, band_title
from mmtf.reports.markdown import markdown_table
from mmtf.reports.measured import percent
from mmtf.stats.intervals import wilson
from mmtf.storage.files import write_atomically, write_text
from scripts.blocks import DOCS, RESULTS, command, listed, where

RECORDS = RESULTS / "brackets"
PAGE = DOCS / "how_robust.md"
TITLE = "# How robust is it really?"
# Not by its name, which tools that read imports would take for one: it imports this module.
MEASURED_BY = __name__.removesuffix("_page")
# Of the rows; other nets come after these.
ORDER = ("undefended", "lwa", "minimax_grad", "adv_pgd", "minimax_attnet", "mtl_ibp", "union")
# Width of a bracket that counts as narrow, one percentage point.
NARROW = 0.01


def records_in(folder: str | os.PathLike) -> dict[str, dict[str, Any]]:
    """Returns net -> its record, in the order of the games and then of the names.

    Raises:
      ConfigError: there is none, or records are of different images or radii.
    """
    paths = sorted(pathlib.Path(folder).glob("*.json"))
    found = {path.stem: read_json(path) for path in paths}
    require(bool(found), "records of `python -m scripts.brackets` in the folder", str(folder))
    first = next(iter(found.values()))
    for name, record in found.items():
        for key in ("dataset", "n", "etas", "seed", "drawn"):
            same = record[key] == first[key]
            require(same, f"one {key} in all records, {first[key]}", f"{record[key]} in {name}")
    order = [name for name in ORDER if name in found]
    return {name: found[name] for name in [*order, *(one for one in found if one not in order)]}


def merged(records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One record with the brackets of all nets, for the figure and the table."""
    first = next(iter(records.values()))
    brackets = [one for record in records.values() for one in record["certified"]]
    return {**first, "certified": brackets}


def table(record: dict[str, Any]) -> str:
    """A row per net and a column per radius: attacked error <= worst case <= certified error."""
    series = band_series(record)
    header = ["net", "no attack", *(f"eta {eta:g}" for eta in record["etas"])]
    rows = [
        [
            f"`{name}`",
            f"{100 * ends[0].worst:.1f}",
            *(f"{100 * one.worst:.1f} to {100 * one.certified:.1f}" for one in ends[1:]),
        ]
        for name, ends in series.items()
    ]
    return markdown_table(header, rows)


def sentences(record: dict[str, Any]) -> list[str]:
    """What follows from the brackets, each as a sentence.

    Example:
      >>> one = {"eta": 0.3, "n": 100, "clean_error": 0.01}
      >>> both = [one | {"defense": "a", "worst": 0.9, "certified": 1.0},
      ...         one | {"defense": "b", "worst": 0.04, "certified": 0.06}]
      >>> for line in sentences({"certified": both, "etas": [0.3]}): print(line)
      At eta 0.3 (eps 0.15) the bracket of `b` is the narrowest: 2.0 points, from 4.0 % to 6.0 %. \
The widest is that of `a`: 10.0 points, from 90.0 % to 100.0 %. Whatever the attack, `b` errs on \
fewer of these images than any other net.
      No bracket is at most 1 point wide.
    """
    series = band_series(record)
    lines = []
    for place, eta in enumerate(record["etas"], start=1):
        at = {name: ends[place] for name, ends in series.items()}
        widths = {name: one.certified - one.worst for name, one in at.items()}
        low, high = min(widths, key=widths.__getitem__), max(widths, key=widths.__getitem__)
        least = [name for name, width in widths.items() if width <= widths[low] + 1e-9]
        text = f"At eta {eta:g} (eps {epsilon_of(eta):g}) the "
        if len(least) > 1:
            text += (
                f"brackets of {listed(least)} are the narrowest: {100 * widths[low]:.1f} points."
            )
        else:
            text += f"bracket of `{low}` is the narrowest: {_width(at[low])}"
        if len(at) > 1:
            text += f" The widest is that of `{high}`: {_width(at[high])}"
        best = min(at, key=lambda name: at[name].certified)
        beaten = [name for name in at if at[name].worst > at[best].certified]
        if beaten:
            told = "any other net" if len(beaten) == len(at) - 1 else listed(beaten)
            text += f" Whatever the attack, `{best}` errs on fewer of these images than {told}."
        elif len(at) > 1:
            text += " Which net has the smallest worst-case error is not decided: brackets overlap."
        lines.append(text)
    narrow = {}
    for name, ends in series.items():
        radii = [one.eta for one in ends[1:] if one.certified - one.worst <= NARROW + 1e-9]
        if radii:
            narrow[name] = f"that of `{name}` at eta {', '.join(f'{eta:g}' for eta in radii)}"
    wide = "No bracket is at most 1 point wide."
    told = f"At most 1 point wide: {'; '.join(narrow.values())}."
    return [*lines, told if narrow else wide]


def _width(one) -> str:
    points = 100 * (one.certified - one.worst)
    return f"{points:.1f} points, from {percent(one.worst)} to {percent(one.certified)}."


def page_text(records: dict[str, dict[str, Any]], figure: str = "figures/brackets.png") -> str:
    """Returns the page.

    Args:
      records: of `records_in`.
      figure: path of the figure from the page.
    """
    record = merged(records)
    n, first = record["n"], next(iter(records.values()))
    ends = [(k / n, *wilson(k, n)) for k in range(n + 1)]
    most = max(max(share - low, high - share) for share, low, high in ends)
    attacks = ", ".join(name for name in first["attacks"] if name != "none")
    drawn = f"{record['note'] or f'{n:,} test images'} ({record['dataset']})"
    trained = [
        f"- `{name}`: {_training(one)}" for name, one in records.items() if one.get("config")
    ]
    parts = [
        TITLE,
        "An attack that fails proves nothing, and a certificate that fails proves nothing either. "
        "Together they enclose the truth:\n\n"
        "    attacked error <= true worst-case error <= certified error",
        f"For every net and radius, in percent of {drawn}: at least the share that an attack "
        f"({attacks}) misclassifies, and at most the share for which no verifier "
        f"({', '.join(first['verifiers'])}) proved that no image of the l-infinity ball is "
        "misclassified. The worst case over **all** attacks, known or not, lies between the two.",
        table(record),
        f"![Brackets against eta]({figure})",
        "\n".join(f"- {line}" for line in sentences(record)),
        f"Bars in the figure are Wilson's 95 % intervals, at most {100 * most:.1f} points to "
        "either side. They cover the choice of the test images, not other training runs: each net "
        "was trained once. What a certificate covers is in [Certificates](certified.md).",
        "## How this was measured",
        f"`{command(first, MEASURED_BY)}`: {where(first)}. Verifiers had "
        f"{first['seconds_per_image']:g} s for each image that was still open. The records are in "
        "results/brackets; the command goes on from what it has finished.",
        "\n".join(trained),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _training(record: dict[str, Any]) -> str:
    config, training = record["config"], record.get("training") or {}
    net = config["net"] or "the dataset's net"
    told = f"game {config['game']}, net {net}, trained at eta {config['eta']:g}"
    if training:
        told += f", {training['steps']:,} steps in {training['seconds'] / 60:.1f} minutes"
    took = sum(one["seconds"] for one in record["certified"]) / 60
    return f"{told}; certified in {took:.1f} minutes"


def write(folder: str | os.PathLike, page: str | os.PathLike) -> None:
    """Writes the page, and the figure to `figures` beside it.

    Args:
      folder: of the records.
      page: path of the page.
    """
    records, page = records_in(folder), pathlib.Path(page)
    record = merged(records)
    figure = page.parent / "figures" / "brackets.png"
    figure.parent.mkdir(parents=True, exist_ok=True)
    picture = band_png(band_series(record), band_title(record))
    write_atomically(str(figure), lambda path: pathlib.Path(path).write_bytes(picture))
    write_text(str(page), page_text(records))
    print(f"wrote {page} and {figure}")
