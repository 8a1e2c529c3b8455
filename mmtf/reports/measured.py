"""The cells of an evaluation's record, found by model, attack and radius, and told in words."""

from typing import Any

from mmtf.radius import radius_title

CLEAN, WORST, CERTIFIED = "none", "worst", "certified"
# Certificates by cheap verifiers alone; those in one ball of a union are `certified_<norm>`.
CHEAP = f"{CERTIFIED}_cheap"
# Of the model smoothed by noise, not of the model: the error of its vote, and what is certified.
SMOOTHED, VOTE = "smoothed", "smoothed_vote"
TITLES = {
    CLEAN: "no attack",
    WORST: "worst of all",
    VOTE: "smoothed model, vote",
    SMOOTHED: "smoothed model, certified",
}
# Keys of a cell that have a place of their own on the page; all others become columns.
KNOWN = (
    *("defense", "attack", "eta", "error", "ci_low", "ci_high", "n"),
    *("target_rate", "target_low", "target_high"),
)
Radius = float | str  # an array of radii is recorded as its text


class Measured:
    """A record of `mmtf.evaluate` with its cells by model, attack and radius.

    Attributes:
      record: as in record.json.
      defenses, attacks: names in the order of the record.
      etas: the radii in the order of the record, ascending.
      doubted: the models of which a check raised a sign of gradient masking.
    """

    def __init__(self, record: dict[str, Any]):
        self.record = record
        cells = record["cells"]
        self.defenses = list(dict.fromkeys(one["defense"] for one in cells))
        self.attacks = list(dict.fromkeys(one["attack"] for one in cells))
        found = dict.fromkeys(one["eta"] for one in cells)
        self.etas: list[Radius] = sorted(found, key=list(record["etas"]).index)
        self.doubted = {one["defense"] for one in record["signs"]}
        self._cells = {(one["defense"], one["attack"], one["eta"]): one for one in cells}

    def at(self, defense: str, attack: str, eta: Radius) -> dict[str, Any] | None:
        """A cell; None if the attack was left out for this model."""
        return self._cells.get((defense, attack, eta))

    def worst(self, defense: str, eta: Radius) -> dict[str, Any]:
        """The cell of the per-example worst case, which every model has at every radius."""
        return self._cells[defense, WORST, eta]

    def attacks_at(self, eta: Radius) -> list[str]:
        """The attacks that have a cell at one radius."""
        return [a for a in self.attacks if any(self.at(d, a, eta) for d in self.defenses)]

    def real_attacks(self, defense: str, eta: Radius) -> list[dict[str, Any]]:
        """A model's cells at one radius without clean images, worst case and certificates."""
        real = [a for a in self.attacks if a not in (CLEAN, WORST) and not is_certified(a)]
        found = [self.at(defense, a, eta) for a in real]
        return [cell for cell in found if cell]

    def numbers(self) -> list[float]:
        """The radii that are numbers and so have a place on an axis, ascending."""
        return sorted(eta for eta in self.etas if not isinstance(eta, str))

    def in_doubt(self, cell: dict[str, Any]) -> bool:
        """Whether a sign of gradient masking puts the cell's error in doubt."""
        attacked = cell["attack"] != CLEAN and not is_certified(cell["attack"])
        return cell["defense"] in self.doubted and attacked

    def radius(self, eta: Radius) -> str:
        """One radius on both scales, short, for a title."""
        return record_radius(self.record, eta)


def is_certified(column: str) -> bool:
    """Whether a column holds certificates, not an attack.

    Example:
      >>> [is_certified(name) for name in ("certified", "certified_l2", "smoothed", "pgd")]
      [True, True, True, False]
    """
    return column in (CERTIFIED, SMOOTHED, VOTE) or column.startswith(f"{CERTIFIED}_")


def of_standardized_images(record: dict[str, Any]) -> bool:
    """Whether the images of a record were standardized one by one: [0, 1] is no scale of theirs."""
    return record.get("preprocess") == "standardize_per_image"


def record_radius(record: dict[str, Any], eta: Any) -> str:
    """One radius of a record on both scales, for a title; of a union also its other balls."""
    told = radius_title(eta, record["norm"], standardized=of_standardized_images(record))
    others = record.get("unions", {}).get(str(eta), {})
    return " or ".join([told, *(f"{norm} {radius:g}" for norm, radius in others.items())])


def attack_title(name: str) -> str:
    """An attack's name for a reader: as on the command line, but for the two that are no attacks.

    Example:
      >>> attack_title("none"), attack_title("pgd")
      ('no attack', 'pgd')
    """
    return TITLES.get(name, name)


def percent(share: float) -> str:
    """A share as text.

    Example:
      >>> percent(0.8805)
      '88.0 %'
    """
    return f"{100 * share:.1f} %"


def accuracy(cell: dict[str, Any]) -> float:
    """Robust accuracy of a cell, 1 - error; of images that are not attacked, accuracy."""
    return 1.0 - cell["error"]


def accuracy_interval(cell: dict[str, Any]) -> tuple[float, float]:
    """95 % interval of the robust accuracy: that of the error, mirrored."""
    return 1.0 - cell["ci_high"], 1.0 - cell["ci_low"]


def target_text(cell: dict[str, Any]) -> str:
    """Share of the images that are classified as the target of the attack, empty if untargeted.

    Example:
      >>> target_text({"target_rate": 0.5, "target_low": 0.4, "target_high": 0.6})
      '50.0 % [40.0, 60.0]'
    """
    if cell.get("target_rate") is None:
        return ""
    text = percent(cell["target_rate"])
    if cell.get("target_low") is None:
        return text
    return f"{text} {interval_text(cell['target_low'], cell['target_high'])}"


def interval_text(low: float, high: float) -> str:
    """An interval of two shares, in percent.

    Example:
      >>> interval_text(0.8281, 0.9178)
      '[82.8, 91.8]'
    """
    return f"[{100 * low:.1f}, {100 * high:.1f}]"
