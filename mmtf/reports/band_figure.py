"""Inline SVG of the band between attacked and certified error against the radius."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from mmtf.reports.band import TICKS, Ends, height_of
from mmtf.reports.figures import WIDTH, draw_line, draw_marker, draw_text, ticks_apart
from mmtf.reports.markup import element, svg
from mmtf.reports.measured import interval_text, percent

# End of the bracket -> number of its color and marker in the style sheet, and its name.
LOOKS = {"certified": (0, "at most (certified)"), "worst": (1, "at least (attacked)")}


def band_figure(ends: Sequence[Ends], title: str) -> ET.Element:
    """The band of one model, with Wilson's 95 % interval of both its ends.

    Args:
      ends: of `mmtf.reports.band.band_series`, two at least.
      title: what the picture shows, for screen readers; the figures follow it.
    """
    left, right, top, bottom = 42, 18, 10, 210
    largest = ends[-1].eta

    def across(eta: float) -> float:
        return left + (WIDTH - left - right) * eta / largest

    def down(error: float) -> float:
        return bottom - (bottom - top) * height_of(error)

    turned = f"translate(11 {(top + bottom) / 2:g}) rotate(-90)"
    parts = []
    for tick in TICKS:
        parts += [
            draw_line("grid", left, down(tick), across(largest), down(tick)),
            draw_text(f"{100 * tick:g}", left - 8, down(tick) + 4, "end"),
        ]
    for eta in ticks_apart([one.eta for one in ends], across):
        parts += [
            draw_line("axis", across(eta), bottom, across(eta), bottom + 4),
            draw_text(f"{eta:g}", across(eta), bottom + 17),
        ]
    parts += [
        draw_line("axis", left, bottom, across(largest), bottom),
        draw_line("axis", left, top, left, bottom),
        draw_text("radius eta", (left + across(largest)) / 2, bottom + 35, "title"),
        draw_text(
            "error in %",
            0,
            0,
            "title",
            transform=turned,
        ),
    ]
    upper = [(across(one.eta), down(one.certified)) for one in ends]
    lower = [(across(one.eta), down(one.worst)) for one in reversed(ends)]
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*upper, *lower))
    parts.append(element("polygon", points=outline, class_="band"))
    parts += [_line_of(end, ends, across, down) for end in LOOKS]
    for place, (number, name) in enumerate(LOOKS.values()):
        x, y = 12 + place * (WIDTH / 2 - 6), bottom + 52
        line = element("polyline", points=f"{x:g},{y:g} {x + 26:g},{y:g}", fill="none")
        text = draw_text(name, x + 32, y + 4, "start")
        mark = draw_marker(number, x + 13, y, 4)
        parts.append(element("g", line, mark, text, class_=f"series s{number}"))
    told = "; ".join(
        f"at {one.eta:g} between {percent(one.worst)} and {percent(one.certified)}" for one in ends
    )
    return svg(WIDTH, bottom + 70, *parts, label=f"{title}. {told}", class_="curves bands")


def _line_of(end, ends, across, down) -> ET.Element:
    """One end of the bracket: a line through its markers, each with its interval."""
    number, name = LOOKS[end]
    places = [(across(one.eta), down(getattr(one, end)), one) for one in ends]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    parts = [element("polyline", points=path, fill="none")]
    for x, y, one in places:
        low, high = one.interval(end)
        told = f"{name}: {percent(getattr(one, end))} {interval_text(low, high)} at {one.eta:g}"
        parts.append(
            element(
                "g",
                element("title", told),
                draw_line("interval", x, down(low), x, down(high)),
                draw_marker(number, x, y, 4),
            )
        )
    return element("g", element("title", name), *parts, class_=f"series s{number}")
