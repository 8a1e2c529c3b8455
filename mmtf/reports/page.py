"""The HTML report of `python -m mmtf.evaluate`: one page that needs no other file and no script."""

import importlib.resources
import shlex
from typing import Any
from xml.etree import ElementTree as ET

from mmtf.reports import checks, gallery, headline, result_tables, smoothed
from mmtf.reports.about import attack_settings, facts
from mmtf.reports.band import band_series
from mmtf.reports.band_figure import band_figure
from mmtf.reports.certified import ABOUT, bracket_table, radius_table
from mmtf.reports.figures import Point, interval_plot, radius_curves
from mmtf.reports.markup import Child, element, render, table
from mmtf.reports.measured import (
    CLEAN,
    SMOOTHED,
    VOTE,
    WORST,
    Measured,
    Radius,
    accuracy,
    accuracy_interval,
    attack_title,
)

READING = (
    "Robust accuracy is the share of images that the model classifies correctly while they are "
    "attacked; the error is 1 minus it. The row worst of all counts an image as wrong if the "
    "model errs on it under any of the attacks, or without one. Intervals are Wilson's 95 % "
    "intervals over the test images: they do not cover other training runs."
)
PAIRED = (
    "Two models are compared on the same images under the worst case of the attacks that both "
    "have, by McNemar's exact test. p is the probability of a difference at least this large "
    "between equally robust models; Holm's p allows for the number of pairs. Below 0.05 counts as "
    "a difference."
)


def evaluation_html(record: dict[str, Any], images: dict[str, Any] | None = None) -> str:
    """A self-contained page: result, figures, tables, checks, tests, settings and images.

    Args:
      record: of `mmtf.evaluation.report.evaluation_record`.
      images: of `mmtf.evaluation.images.shown_images`; None: the page has none.
    """
    measured = Measured(record)
    title = f"Robust accuracy on {record['dataset']}"
    style = importlib.resources.files("mmtf.reports").joinpath("report.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title}: {', '.join(measured.defenses)}"),
        element("style", style),
    )
    sections = [
        _bands(measured),
        _smoothed(measured),
        _radii(measured),
        *(_results(measured, eta) for eta in reversed(measured.etas)),
        _checks(measured),
        _paired(measured),
        _about(record),
        _images(measured, images),
    ]
    main = element("main", _top(measured, title), *sections)
    return "<!doctype html>\n" + render(element("html", head, element("body", main), lang="en"))


def _top(measured: Measured, title: str) -> ET.Element:
    made = f"mmtf {measured.record.get('versions', {}).get('mmtf', '')}".strip()
    when = measured.record.get("date")
    several = len(measured.defenses) > 1
    return element(
        "header",
        element("h1", title),
        element("p", made + (f", {when}" if when else ""), class_="quiet"),
        element("p", headline.headline(measured), class_="headline"),
        *(element("p", line, class_="doubt") for line in headline.doubts(measured)),
        element("p", headline.context(measured)),
        result_tables.summary_table(measured, measured.etas[-1]) if several else None,
        element("p", READING, class_="quiet"),
    )


def _section(title: str, *children: Child, id_: str | None = None) -> ET.Element:
    return element("section", element("h2", title), *children, id=id_)


def _point(cell: dict[str, Any], x: float = 0.0) -> Point:
    low, high = accuracy_interval(cell)
    name, strong = attack_title(cell["attack"]), cell["attack"] == WORST
    return Point(name, accuracy(cell), low, high, strong, x)


def _panels(pictures: dict[str, ET.Element]) -> ET.Element:
    """Pictures beside each other, each under the name of its model."""
    figures = [
        element("figure", element("figcaption", name), picture, class_="panel")
        for name, picture in pictures.items()
    ]
    return element("div", *figures, class_="panels")


def _radii(measured: Measured) -> ET.Element | None:
    """Curves against the radius, from the clean images at 0 if these were measured."""
    etas = measured.numbers()
    if len(etas) < 2:
        return None
    pictures = {}
    for model in measured.defenses:
        clean = measured.at(model, CLEAN, etas[0])
        series: dict[str, list[Point]] = {}
        for attack in measured.attacks:
            cells = {eta: measured.at(model, attack, eta) for eta in etas}
            points = [_point(cell, eta) for eta, cell in cells.items() if cell]
            if attack in (CLEAN, VOTE) or not points:
                continue
            if clean and attack != SMOOTHED:  # another classifier
                points.insert(0, _point({**clean, "attack": attack}, 0.0))
            series[attack_title(attack)] = points
        x_title = "radius eta, for pixels in [-1, 1]"
        pictures[model] = radius_curves(series, f"Accuracy of {model} against eta", x_title)
    text = "How the accuracy falls as attacks may change the images more; bars are 95 % intervals."
    return _section("Accuracy against the radius", element("p", text), _panels(pictures))


def _bands(measured: Measured) -> ET.Element | None:
    """The brackets against the radius, and the certified radii, if there are any."""
    series = band_series(measured.record)
    if not series:
        return None
    pictures = {
        name: band_figure(ends, f"Bracket around the worst-case error of {name}")
        for name, ends in series.items()
    }
    radii = radius_table(measured.record)
    return _section(
        "How robust is it really?",
        element("p", ABOUT),
        _panels(pictures),
        None if radii is None else _scrolling(radii, "Certified radii"),
    )


def _smoothed(measured: Measured) -> ET.Element | None:
    """The smoothed models, if there are any."""
    found = smoothed.smoothed_table(measured.record)
    if found is None:
        return None
    content = element("p", smoothed.ABOUT), _scrolling(found, "Smoothed models")
    return _section("How robust are the smoothed models?", *content)


def _results(measured: Measured, eta: Radius) -> ET.Element:
    pictures = {}
    for model in measured.defenses:
        cells = [measured.at(model, attack, eta) for attack in measured.attacks]
        points = [_point(cell) for cell in cells if cell]
        pictures[model] = interval_plot(points, f"Accuracy of {model} at {measured.radius(eta)}")
    matrix = result_tables.matrix_table(measured, eta)
    details = element(
        "details",
        element("summary", "All figures, with intervals of the error, distances and times"),
        _scrolling(result_tables.detail_table(measured, eta), "All figures"),
    )
    bracket = bracket_table(measured, eta)
    return _section(
        f"Results at {measured.radius(eta)}",
        element("div", _panels(pictures), _scrolling(matrix, "Results"), class_="results"),
        None if bracket is None else _scrolling(bracket, "Bracket"),
        details,
    )


def _scrolling(content: ET.Element, label: str) -> ET.Element:
    """A part that scrolls by itself where even the smallest form is wider than the screen."""
    return element(
        "div", content, class_="scrolling", tabindex="0", role="region", aria_label=label
    )


def _checks(measured: Measured) -> ET.Element:
    rows = []
    for key, check in checks.CHECKS.items():
        cells = []
        for model in measured.defenses:
            sign, text = checks.outcome(measured, model, key)
            cells.append(element("td", text, class_="sign" if sign else None))
        words = [
            element("span", key, class_="key"),
            element("span", f"A sign means: {check.meaning}", class_="words"),
        ]
        rows.append([element("th", check.question, *words), *cells])
    header = ["question", *measured.defenses]
    # The questions are as wide as three columns of figures.
    size = result_tables.size_of(["", "", *header])
    made = table(header, rows, caption="Checks and their outcomes", class_=f"checks {size}")
    found = checks.summary(measured)
    content = [element("p", checks.ABOUT), element("p", element("strong", found))]
    return _section(
        "Can the figures be trusted?", *content, _scrolling(made, "Checks"), id_="checks"
    )


def _paired(measured: Measured) -> ET.Element | None:
    """The tests at the largest radius; those of the others folded."""
    tables = {eta: result_tables.paired_table(measured, eta) for eta in reversed(measured.etas)}
    shown = [_scrolling(one, "Paired tests") for one in tables.values() if one is not None]
    if not shown:
        return None
    rest = element("details", element("summary", "At the other radii"), *shown[1:])
    title = "Are the models different?"
    return _section(title, element("p", PAIRED), shown[0], rest if len(shown) > 1 else None)


def _images(measured: Measured, images: dict[str, Any] | None) -> ET.Element | None:
    if not images or not images["clean"]:
        return None
    parts = gallery.gallery(measured, images)
    return _section("Images", element("p", gallery.ABOUT), *parts)


def _about(record: dict[str, Any]) -> ET.Element:
    rows = [
        pair
        for name, text in facts(record).items()
        for pair in (element("dt", name), element("dd", text))
    ]
    models = []
    for name, one in record.get("models", {}).items():
        models += [
            element("dt", name),
            element("dd", one["path"], element("br"), element("code", f"SHA-256 {one['sha256']}")),
        ]
    attacks = [
        pair
        for name, text in attack_settings(record).items()
        for pair in (element("dt", name), element("dd", text))
    ]
    command = record.get("command")
    return _section(
        "How this was measured",
        element("dl", *rows),
        element("h3", "Models") if models else None,
        element("dl", *models) if models else None,
        element("h3", "Attacks") if attacks else None,
        element("dl", *attacks) if attacks else None,
        element("h3", "Command") if command else None,
        element("pre", shlex.join(command)) if command else None,
    )
