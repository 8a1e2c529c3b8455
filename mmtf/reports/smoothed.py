"""What an evaluation says of smoothed models: their vote, abstentions and certified errors."""

from typing import Any
from xml.etree import ElementTree as ET

from mmtf.reports.markup import element, table
from mmtf.reports.measured import interval_text, of_standardized_images, percent

ABOUT = (
    "The smoothed model g answers with the class that the model f predicts most often under "
    "Gaussian noise. Its certificates hold for g alone, each with the probability 1 - alpha; the "
    "attacks of the other rows are on f without noise, so that they make no bracket with these. An "
    "abstention counts as an error."
)


def smoothed_lines(record: dict[str, Any]) -> list[str]:
    """Sentences on each smoothed model of a record; [] if none was measured.

    Example:
      >>> share = {"value": 0.9, "ci_low": 0.8, "ci_high": 0.95}
      >>> one = {"defense": "net", "sigma": 1.0, "sigma_01": 0.5, "draws": 1000, "vote": share}
      >>> one |= {"selection_draws": 100, "alpha": 0.001, "vote_abstains": 0.02, "abstains": 0.03}
      >>> one |= {"average_radius": 1.2, "largest_radius": 2.46, "n": 100}
      >>> one["radii"] = [{"eta": 1.0, "radius": 1.0, "certified": share}]
      >>> smoothed_lines({"smoothed": [one]})[0][:58]
      'net smoothed (noise of deviation 1 for pixels in [-1, 1], '
    """
    return [
        f"{one['defense']} smoothed (noise of deviation {one['sigma']:g} for "
        + (
            "standardized images): "
            if of_standardized_images(record)
            else f"pixels in [-1, 1], {one['sigma_01']:g} for [0, 1]): "
        )
        + f"the vote is right on {_share(one['vote'])} of "
        f"{one['n']:,} images and abstains on {percent(one['vote_abstains'])}; certification "
        f"abstains on {percent(one['abstains'])}; certified for the true class within l2 "
        f"{_radii(one)}; average certified radius {one['average_radius']:.3g}, at most "
        f"{one['largest_radius']:.3g} with {one['draws']:,} draws at alpha {one['alpha']:g}. "
        f"smoothed_vote and smoothed are about this model g, all other columns about "
        f"{one['defense']} without noise."
        for one in record.get("smoothed", [])
    ]


def smoothed_table(record: dict[str, Any]) -> ET.Element | None:
    """A row per smoothed model and radius; None if none was measured."""
    both = not of_standardized_images(record)
    rows = [
        [
            element("th", one["defense"]),
            element("td", f"{one['sigma']:g}" + (f" ({one['sigma_01']:g})" if both else "")),
            element("td", f"{at['radius']:g}" + (f" ({at['radius'] / 2:g})" if both else "")),
            element("td", _share(at["certified"])),
            element("td", _share(one["vote"])),
            element("td", percent(one["vote_abstains"])),
            element("td", percent(one["abstains"])),
            element("td", f"{one['average_radius']:.3g}"),
            element("td", f"{one['n']:,}"),
        ]
        for one in record.get("smoothed", [])
        for at in one["radii"]
    ]
    if not rows:
        return None
    also = " (on [0, 1])" if both else ""
    header = ["model", f"sigma{also}", f"l2 radius{also}", "certified accuracy"]
    header += ["accuracy of the vote", "vote abstains", "certification abstains"]
    header += ["average certified radius", "images"]
    return table(header, rows, caption="Smoothed models", class_="compact cols-l")


def _share(one):
    return f"{percent(one['value'])} {interval_text(one['ci_low'], one['ci_high'])}"


def _radii(one):
    return ", ".join(f"{at['radius']:g}: {_share(at['certified'])}" for at in one["radii"])
