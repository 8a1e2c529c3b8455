"""Certified accuracy by radius beside an attack's: as records, a table, sentences and a curve."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mmtf.reports.markdown import markdown_table
from mmtf.reports.plots import COLORS, MARKERS, pyplot, save
from mmtf.smoothing.certificates import ABSTAIN
from mmtf.smoothing.measuring import Measured
from mmtf.stats.intervals import wilson


def share(good: np.ndarray) -> dict[str, float]:
    """The share of true entries with Wilson's 95 % interval, as plain JSON data.

    Example:
      >>> share(np.array([True, True, False, False]))["value"]
      0.5
    """
    low, high = wilson(int(good.sum()), len(good))
    return {"value": float(good.mean()), "ci_low": low, "ci_high": high}


def points(measured: Measured) -> list[dict[str, Any]]:
    """A dict for radius 0 and each radius of the settings: accuracies with their intervals.

    `certified` is a lower bound of the smoothed classifier's accuracy in the ball, `attacked` an
    upper bound: the share of images that are not broken. `attacked_abstains` is the share of
    adversarial examples on which the vote abstains, and `base` the accuracy of the classifier
    without noise under an attack on it.
    """
    known = {one.radius: one for one in (measured.clean, *measured.attacked)}
    found = []
    for radius in (0.0, *measured.settings.radii):
        correct = measured.certified.correct(measured.labels, radius)
        point = {"radius": radius, "radius_01": radius / 2, "certified": share(correct)}
        if radius in known:
            one = known[radius]
            point |= {"attacked": share(~one.broken), "base": share(~one.base_wrong)}
            point["attacked_abstains"] = float(one.abstains.mean())
        found.append(point)
    return found


def summary(measured: Measured) -> dict[str, Any]:
    """What record.json says about one classifier, as plain JSON data."""
    seconds, settings = float(measured.seconds.sum()), measured.settings
    n = len(measured.labels)
    return {
        "model": measured.name,
        "sigma": settings.sigma,
        "sigma_01": settings.sigma / 2,
        "n_images": n,
        "predicted": share(measured.predicted == measured.labels),
        "abstains": float((measured.predicted == ABSTAIN).mean()),
        "average_radius": measured.average_radius,
        "average_radius_01": measured.average_radius / 2,
        "largest_radius": settings.largest,
        "contradictions": measured.contradictions,
        "seconds": round(seconds, 2),
        "images_per_second": round(n / seconds, 3) if seconds else None,
        "draws_per_second": round(n * (settings.n + settings.n0) / seconds) if seconds else None,
        "attack_seconds": [
            None if math.isnan(one.seconds) else round(one.seconds, 2) for one in measured.attacked
        ],
        "points": points(measured),
    }


def image_rows(measured: Measured) -> Iterator[dict[str, Any]]:
    """A dict per image for images.jsonl: label, prediction, certificate, and what breaks it."""
    broken = {one.radius: one.broken for one in reversed(measured.attacked)}
    for index, label in enumerate(measured.labels.tolist()):
        radius = float(measured.certified.radius[index])
        yield {
            "model": measured.name,
            "index": index,
            "label": label,
            "predicted": int(measured.predicted[index]),
            "certified": int(measured.certified.label[index]),
            "radius": radius,
            "radius_01": radius / 2,
            "p_lower": float(measured.certified.lower[index]),
            "broken_at": min((one for one, which in broken.items() if which[index]), default=None),
            "counts0": measured.selection[index].tolist(),
            "counts": measured.estimation[index].tolist(),
        }


def table(entries: Sequence[dict[str, Any]], both_scales: bool = True) -> str:
    """A Markdown table: a row for each model and radius, in percent with 95 % intervals.

    Args:
      entries: of `summary`.
      both_scales: False for images whose pixels are not only scaled; then there is no [0, 1].
    """
    header = ["model", "l2 radius", *(["on [0, 1]"] if both_scales else []), "certified"]
    header += ["not broken by PGD", "abstains", "without noise, PGD"]
    rows = []
    for entry in entries:
        for point in entry["points"]:
            tried = "attacked" in point
            rows.append(
                [
                    entry["model"],
                    f"{point['radius']:g}",
                    *([f"{point['radius_01']:g}"] if both_scales else []),
                    _percent(point["certified"]),
                    _percent(point["attacked"]) if tried else "",
                    f"{point['attacked_abstains']:.1%}" if tried else "",
                    _percent(point["base"]) if tried else "",
                ]
            )
    return markdown_table(header, rows)


def sentences(
    entry: dict[str, Any], settings: dict[str, Any], values: int, both_scales: bool = True
) -> list[str]:
    """What the table does not say, in sentences.

    Args:
      entry: of `summary`.
      settings: the entries n, n0 and alpha of `Settings`.
      values: number of values of an image.
      both_scales: whether there is a scale of [0, 1]; False for images standardized one by one.
    """
    largest = entry["largest_radius"]
    linf = largest / math.sqrt(values)

    def also(text: str) -> str:
        return f" ({text})" if both_scales else ""

    scale = "pixels in [-1, 1]" if both_scales else "standardized images"
    lines = [
        f"{entry['model']}: noise of deviation {entry['sigma']:g} for {scale}"
        f"{also(format(entry['sigma_01'], 'g') + ' for pixels in [0, 1]')}, "
        f"{entry['n_images']:,} images, "
        f"n = {settings['n']:,}, n0 = {settings['n0']:,}, "
        f"alpha = {settings['alpha']:g}.",
        f"The vote is right on {_percent(entry['predicted'])} and abstains on "
        f"{entry['abstains']:.1%}; an abstention counts as an error.",
        f"Average certified radius {entry['average_radius']:.3f}"
        f"{also(format(entry['average_radius_01'], '.3f') + ' on [0, 1]')}, where the class is "
        f"wrong 0; no image can exceed {largest:.3f}{also(format(largest / 2, '.3f'))} with these "
        "draws.",
        f"An l2 ball of radius r contains the l-infinity ball of radius r / sqrt({values}): here "
        f"at most {linf:.4f}{also(format(linf / 2, '.4f') + ' on [0, 1]')}.",
    ]
    if entry["images_per_second"]:
        lines.append(
            f"{entry['images_per_second']:.3g} images per second, {entry['draws_per_second']:,} "
            "draws per second."
        )
    if entry["contradictions"]:
        lines.append(
            f"{entry['contradictions']} certificates are contradicted by an adversarial example; "
            f"at alpha = {settings['alpha']:g} expect few."
        )
    return lines


def curve(all_measured: Sequence[Measured], path: str, both_scales: bool = True) -> None:
    """Draws certified accuracy against the radius with its band, and the attacks as points.

    Args:
      all_measured: a line for each.
      path: of the figure, .png or .svg.
      both_scales: see `sentences`.
    """
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(9, 6))
    for number, measured in enumerate(all_measured):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        end = max(measured.settings.largest, measured.settings.radii[-1]) * 1.05
        radii = np.linspace(0.0, end, 400)
        shares = [share(measured.certified.correct(measured.labels, r)) for r in radii]
        axes.plot(
            radii, [s["value"] for s in shares], color=color, label=f"{measured.name}, certified"
        )
        low, high = [s["ci_low"] for s in shares], [s["ci_high"] for s in shares]
        axes.fill_between(radii, low, high, color=color, alpha=0.15, lw=0)
        tried = [point for point in points(measured) if "attacked" in point]
        where = [point["radius"] for point in tried]
        for key, line, what in (("attacked", "--", "not broken"), ("base", ":", "without noise")):
            values = [point[key]["value"] for point in tried]
            label = f"{measured.name}, {what} by PGD" if key == "attacked" else None
            label = label or f"{measured.name} {what}, PGD"
            axes.plot(where, values, line, color=color, marker=marker, label=label)
    axes.set_xlabel(
        f"l2 radius for {'pixels in [-1, 1]' if both_scales else 'standardized images'}"
    )
    axes.set_ylabel(f"accuracy ({len(all_measured[0].labels):,} images)")
    axes.set_ylim(0, 1.01)
    axes.set_xlim(left=0)
    if both_scales:
        top = axes.secondary_xaxis("top", functions=(lambda r: r / 2, lambda r: 2 * r))
        top.set_xlabel("for pixels in [0, 1]")
    axes.legend(fontsize=10)
    save(figure, path)
    plt.close(figure)


def _percent(one):
    return f"{one['value']:.1%} [{one['ci_low']:.1%}, {one['ci_high']:.1%}]"
