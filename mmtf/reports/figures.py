"""Inline SVG: robust accuracies with their intervals, and curves against the radius.

Colors, fonts and line widths are the style sheet's (report.css), so that one picture serves light
screens, dark ones and paper. Sizes are in CSS pixels.
"""

import dataclasses
from collections.abc import Callable, Iterable
from xml.etree import ElementTree as ET

from mmtf.reports.markup import element, svg
from mmtf.reports.measured import interval_text, percent

WIDTH = 340
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SERIES = 8  # colors and markers in the style sheet
# Corners of the markers in units of their radius; the first series has a circle.
MARKERS: dict[int, list[tuple[float, float]]] = {
    1: [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    2: [(0, -1.2), (1.2, 1), (-1.2, 1)],
    3: [(0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)],
    4: [(0, 1.2), (1.2, -1), (-1.2, -1)],
    5: [(-1.2, 0), (1, -1.2), (1, 1.2)],
    6: [(1.2, 0), (-1, -1.2), (-1, 1.2)],
    7: [(-0.5, -1.3), (0.5, -1.3), (1.2, 0), (0.5, 1.3), (-0.5, 1.3), (-1.2, 0)],
}
LABEL_LETTERS = 15
TICK_GAP = 34


@dataclasses.dataclass(frozen=True)
class Point:
    """An accuracy with its 95 % interval, all three in [0, 1].

    Attributes:
      label: the attack's name.
      value, low, high: the accuracy and the ends of its interval.
      strong: whether it is set off, as the worst case is.
      x: the radius, for curves.
    """

    label: str
    value: float
    low: float
    high: float
    strong: bool = False
    x: float = 0.0

    def __str__(self) -> str:
        return f"{self.label}: {percent(self.value)} {interval_text(self.low, self.high)}"


def interval_plot(points: list[Point], title: str) -> ET.Element:
    """A dot and its interval a row, over an axis from 0 to 100 %.

    Args:
      points: from top to bottom.
      title: what the picture shows, for screen readers; the figures follow it.
    """
    left, right, row, top = 130, 16, 22, 8
    height = top + row * len(points)

    def across(share: float) -> float:
        return left + (WIDTH - left - right) * share

    parts = []
    for share in SHARES:
        x = across(share)
        parts += [
            draw_line("grid", x, top, x, height),
            draw_text(f"{100 * share:.0f}", x, height + 16),
        ]
    parts += [
        draw_line("axis", across(0), height, across(1), height),
        draw_text("accuracy in %", across(0.5), height + 33, "title"),
    ]
    for number, point in enumerate(points):
        y = top + row * (number + 0.5)
        kind = "strong" if point.strong else "plain"
        ends = across(point.low), across(point.high)
        parts.append(
            element(
                "g",
                element("title", str(point)),
                draw_text(_short(point.label), left - 9, y + 4, f"name {kind}"),
                draw_line("interval", ends[0], y, ends[1], y),
                *(draw_line("interval", x, y - 4, x, y + 4) for x in ends),
                draw_marker(3 if point.strong else 0, across(point.value), y, 5),
                class_=kind,
            )
        )
    label = f"{title}. " + "; ".join(map(str, points))
    return svg(WIDTH, height + 42, *parts, label=label, class_="dots")


def radius_curves(series: dict[str, list[Point]], title: str, x_title: str) -> ET.Element:
    """Accuracy against the radius: a line with markers and intervals for each attack, and a legend.

    Args:
      series: attack -> points, ascending in x.
      title: what the picture shows, for screen readers; the figures follow it.
      x_title: what the horizontal axis shows.
    """
    left, right, top, bottom = 42, 18, 10, 210
    radii = sorted({point.x for points in series.values() for point in points})
    largest = radii[-1]

    def across(x: float) -> float:
        return left + (WIDTH - left - right) * x / largest

    def down(share: float) -> float:
        return bottom - (bottom - top) * share

    parts = []
    for share in SHARES:
        y = down(share)
        parts += [
            draw_line("grid", left, y, across(largest), y),
            draw_text(f"{100 * share:.0f}", left - 8, y + 4, "end"),
        ]
    for x in ticks_apart([0.0, *radii], across):
        place = across(x)
        parts += [
            draw_line("grid", place, top, place, bottom),
            draw_line("axis", place, bottom, place, bottom + 4),
            draw_text(f"{x:g}", place, bottom + 17),
        ]
    parts += [
        draw_line("axis", left, bottom, across(largest), bottom),
        draw_line("axis", left, top, left, bottom),
        draw_text(x_title, (left + across(largest)) / 2, bottom + 35, "title"),
        draw_text(
            "accuracy in %",
            0,
            0,
            "title",
            transform=f"translate(11 {(top + bottom) / 2:g}) rotate(-90)",
        ),
    ]
    for number, (name, points) in enumerate(series.items()):
        # Side by side by a few pixels, so that the intervals of equal figures stay apart.
        shift = 3 * (number - (len(series) - 1) / 2)
        places = [(across(p.x) + shift * (p.x > 0), p) for p in points]
        parts.append(_series(number, name, places, down))
    legend_top = bottom + 52
    for number, name in enumerate(series):
        x, y = 12 + (number % 2) * (WIDTH / 2 - 6), legend_top + 18 * (number // 2)
        parts.append(_legend_entry(number, name, x, y))
    height = legend_top + 18 * ((len(series) + 1) // 2)
    told = "; ".join(
        f"{name}: " + ", ".join(f"{percent(p.value)} at {p.x:g}" for p in points)
        for name, points in series.items()
    )
    return svg(WIDTH, height, *parts, label=f"{title}. {told}", class_="curves")


def _series(number, name, places, down):
    """A line through `places`, pairs of a horizontal place and a point."""
    path = " ".join(f"{x:.1f},{down(point.value):.1f}" for x, point in places)
    parts = [element("polyline", points=path, fill="none")]
    for x, point in places:
        parts.append(
            element(
                "g",
                element("title", f"{point} at {point.x:g}"),
                draw_line("interval", x, down(point.low), x, down(point.high)),
                draw_marker(number, x, down(point.value), 4),
            )
        )
    return element("g", element("title", name), *parts, class_=_look(number))


def _legend_entry(number, name, x, y):
    return element(
        "g",
        element("title", name),
        element("polyline", points=f"{x:g},{y:g} {x + 26:g},{y:g}", fill="none"),
        draw_marker(number, x + 13, y, 4),
        draw_text(_short(name), x + 32, y + 4, "start"),
        class_=_look(number),
    )


def _look(number: int) -> str:
    """Classes of the style sheet: eight colors, then the same dashed."""
    return f"series s{number % SERIES}" + (" dashed" if number >= SERIES else "")


def ticks_apart(radii: Iterable[float], across: Callable[[float], float]) -> list[float]:
    """The radii whose labels do not touch, from the largest down; 0 is always among them."""
    kept = [0.0]
    for x in sorted(set(radii) - {0.0}, reverse=True):
        if all(abs(across(x) - across(other)) >= TICK_GAP for other in kept):
            kept.append(x)
    return kept


def _short(name: str) -> str:
    """A label that fits beside the axis; the whole name is in the title."""
    return name if len(name) <= LABEL_LETTERS else name[: LABEL_LETTERS - 1] + "\u2026"


def draw_marker(number: int, x: float, y: float, r: float) -> ET.Element:
    """One of eight shapes, so that lines are told apart without color."""
    corners = MARKERS.get(number % SERIES)
    if corners is None:
        return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{r:g}", class_="marker")
    path = " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in corners)
    return element("polygon", points=path, class_="marker")


def draw_line(kind: str, x1: float, y1: float, x2: float, y2: float) -> ET.Element:
    """A line of a class of the style sheet."""
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return element("line", class_=kind, **{name: f"{at:.1f}" for name, at in ends.items()})


def draw_text(
    text: str, x: float, y: float, kind: str = "middle", **attributes: object
) -> ET.Element:
    """A text of a class of the style sheet, which says how it is aligned."""
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", class_=kind, **attributes)
