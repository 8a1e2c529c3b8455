"""What is proved about models: the bracket around the worst case, as text and as a table."""

from typing import Any
from xml.etree import ElementTree as ET

from mmtf.reports.markup import element, table
from mmtf.reports.measured import Measured, Radius, percent

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
    """A sentence per model.

    Example:
      >>> one = {"defense": "net", "eta": 0.3, "n": 100, "worst": 0.05, "certified": 0.07}
      >>> one |= {"status": {"open": 2}, "stage": {"none": 1, "ibp": 90, "crown": 3}}
      >>> bracket_lines({"certified": [one | {"seconds": 20.0}]}, 0.3)
      ['net: worst-case error between 5.0 % and 7.0 %, open 2.0 %; ibp 90, crown 3; 0.2 s an image']
    """
    return [
        f"{one['defense']}: worst-case error between {percent(one['worst'])} and "
        f"{percent(one['certified'])}, open {percent(one['status']['open'] / one['n'])}; "
        f"{_stages(one) or 'none decided'}; {one['seconds'] / one['n']:.2g} s an image"
        for one in entries(record, eta)
    ]


def bracket_table(measured: Measured, eta: Radius) -> ET.Element | None:
    """A row per model: worst, certified and open, and who decided; None if nothing was verified."""
    rows = [
        [
            element("th", one["defense"]),
            *(
                element("td", text)
                for text in (
                    percent(one["worst"]),
                    percent(one["certified"]),
                    percent(one["status"]["open"] / one["n"]),
                    _stages(one),
                    f"{one['seconds'] / one['n']:.2g} s",
                )
            ),
        ]
        for one in entries(measured.record, eta)
    ]
    if not rows:
        return None
    header = ["model", "worst-case error at least", "at most", "open", "decided by", "per image"]
    caption = f"Bracket around the worst-case error at {measured.radius(eta)}"
    return table(header, rows, caption=caption, class_="compact cols-m")


def _stages(one):
    return ", ".join(f"{name} {count}" for name, count in one["stage"].items() if name != "none")
