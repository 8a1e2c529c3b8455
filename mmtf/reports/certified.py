"""What is proved about models: the bracket around the worst case, as text and as a table."""

from typing import Any
from xml.etree import ElementTree as ET

from mmtf.reports.markup import element, table
from mmtf.reports.measured import CERTIFIED, CHEAP, Measured, Radius, interval_text, percent
from mmtf.stats.intervals import wilson

ENDS = ("worst", "certified")

ABOUT = (
    "The error of the best possible attack, known or not, lies between worst, found by attacks, "
    "and certified, the share of the images that verifiers did not prove robust in the whole ball. "
    "The proofs hold in real arithmetic for the float32 weights; they are computed in float64, and "
    "a margin has to exceed the float32 rounding that was measured."
)


def entries(record: dict[str, Any], eta: Radius) -> list[dict[str, Any]]:
    """The certificates of a record at one radius, a dict per model; [] of an older record."""
    return [one for one in record.get("certified", []) if one["eta"] == eta]


def bracket_lines(record: dict[str, Any], eta: Radius) -> list[str]:
    """A sentence per model, and of a union of balls one for each ball.

    Example:
      >>> one = {"defense": "net", "eta": 0.3, "n": 100, "worst": 0.05, "certified": 0.07}
      >>> one |= {"status": {"open": 2}, "stage": {"none": 1, "ibp": 90, "crown": 3}}
      >>> bracket_lines({"certified": [one | {"seconds": 20.0}]}, 0.3)[0][:70]
      'net: worst-case error between 5.0 % [2.2, 11.2] and 7.0 % [3.4, 13.7],'
    """
    lines = []
    for one in entries(record, eta):
        lines.append(f"{one['defense']}: {_sentence(one)}")
        parts = record.get("certified_parts", [])
        lines += [
            f"{one['defense']}, {part_title(part['column'])}: {_sentence(part)}"
            for part in parts
            if (part["defense"], part["eta"]) == (one["defense"], eta)
        ]
    return lines


def _sentence(one):
    low, high = (f"{percent(one[end])} {interval_text(*_interval(one, end))}" for end in ENDS)
    return (
        f"worst-case error between {low} and {high}, open "
        f"{percent(one['status']['open'] / one['n'])}, n = {one['n']:,}; "
        f"{_stages(one) or 'none decided'}; {one['seconds'] / one['n']:.2g} s an image"
    )


def part_title(column: str) -> str:
    """What a further column of certificates is about.

    Example:
      >>> part_title("certified_cheap"), part_title("certified_l2")
      ('cheap verifiers on all images', 'l2 alone')
    """
    norm = column.removeprefix(f"{CERTIFIED}_")
    return "cheap verifiers on all images" if column == CHEAP else f"{norm} alone"


def radius_lines(record: dict[str, Any]) -> list[str]:
    """A sentence per model on the certified radii of its examples, if they were computed."""
    return [
        f"{one['defense']}: certified {one['norm']} radius of the middle image "
        f"{one['quantiles']['0.5']:.3g}, of half of the images between "
        f"{one['quantiles']['0.25']:.3g} and {one['quantiles']['0.75']:.3g}, mean "
        f"{one['mean']:.3g}; {percent(one['at_limit'])} of the images reach {one['limit']:g}, the "
        f"largest that was tried; tolerance {one['tolerance']:g}, n = {one['n']:,}"
        for one in record.get("certified_radius", [])
    ]


def bracket_table(measured: Measured, eta: Radius) -> ET.Element | None:
    """A row per model: worst, certified and open, and who decided; None if nothing was verified.

    Both ends have Wilson's 95 % interval. Balls of a union have rows of their own.
    """
    rows = []
    for one in entries(measured.record, eta):
        rows.append(_row(one["defense"], one))
        rows += [
            _row(f"{one['defense']}, {part_title(part['column'])}", part)
            for part in measured.record.get("certified_parts", [])
            if (part["defense"], part["eta"]) == (one["defense"], eta)
        ]
    if not rows:
        return None
    header = ["model", "worst-case error at least", "at most", "open", "images", "decided by"]
    caption = f"Bracket around the worst-case error at {measured.radius(eta)}"
    return table([*header, "per image"], rows, caption=caption, class_="compact cols-m")


def _row(name, one):
    ends = (f"{percent(one[end])} {interval_text(*_interval(one, end))}" for end in ENDS)
    texts = [*ends, percent(one["status"]["open"] / one["n"]), f"{one['n']:,}", _stages(one)]
    texts.append(f"{one['seconds'] / one['n']:.2g} s")
    return [element("th", name), *(element("td", text) for text in texts)]


def radius_table(record: dict[str, Any]) -> ET.Element | None:
    """Quantiles of the certified radius, a row per model; None if they were not computed."""
    found = record.get("certified_radius", [])
    if not found:
        return None
    header = ["model", *(f"{100 * float(q):g} % of the images" for q in found[0]["quantiles"])]
    header += ["mean", "reach the largest", "images"]
    rows = [
        [
            element("th", one["defense"]),
            *(element("td", f"{radius:.3g}") for radius in one["quantiles"].values()),
            element("td", f"{one['mean']:.3g}"),
            element("td", f"{percent(one['at_limit'])} ({one['limit']:g})"),
            element("td", f"{one['n']:,}"),
        ]
        for one in found
    ]
    caption = f"Certified {found[0]['norm']} radius, at most this for a share of the images"
    return table(header, rows, caption=caption, class_="compact cols-l")


def _interval(one, end):
    """Wilson's interval of an end; records have it as well."""
    return wilson(round(one[end] * one["n"]), one["n"])


def _stages(one):
    return ", ".join(f"{name} {count}" for name, count in one["stage"].items() if name != "none")
