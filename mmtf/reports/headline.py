"""What an evaluation found, in sentences that need no other page."""

from typing import Any

from mmtf.radius import epsilon_of
from mmtf.reports.measured import (
    CLEAN,
    Measured,
    Radius,
    accuracy,
    accuracy_interval,
    percent,
    record_radius,
)

LISTED = 3
CHANGES = {
    "linf": "every pixel by",
    "l2": "an image by a Euclidean distance of",
    "l1": "an image by a sum of absolute changes of",
}


def headline(measured: Measured) -> str:
    """The result at the largest radius, of the model with the highest robust accuracy.

    Names clean and robust accuracy with its 95 % interval, n, the radius on both scales and the
    strongest attack.
    """
    eta = measured.etas[-1]
    best = ranked(measured, eta)[0]
    cell, clean = measured.worst(best, eta), measured.at(best, CLEAN, eta)
    low, high = accuracy_interval(cell)
    told = f"{best} classifies "
    if clean:
        told += f"{percent(accuracy(clean))} of the images correctly as they are, and "
    told += (
        f"{percent(accuracy(cell))} (95 % interval {100 * low:.1f} to {100 * high:.1f} %) when "
        f"{attacker(measured.record, eta)}."
    )
    return f"{told} {_strongest_sentence(measured, best, eta)}"


def context(measured: Measured) -> str:
    """What the headline leaves out: the images, the other models and the other radii."""
    record = measured.record
    note = f" ({record['note']})" if record.get("note") else ""
    told = f"Measured on {record['n']:,} test images of {record['dataset']}{note}."
    if len(measured.defenses) > 1:
        told += f" None of the {len(measured.defenses)} models has a higher robust accuracy."
    if len(measured.etas) > 1:
        told += f" This is the largest of {len(measured.etas)} radii; all are below."
    return told


def doubts(measured: Measured) -> list[str]:
    """A sentence for each model of which a check found a sign of gradient masking."""
    return [
        f"The figures of {name} are in doubt: a check found a sign of gradient masking, so its "
        "true robust accuracy may be lower."
        for name in measured.defenses
        if name in measured.doubted
    ]


def ranked(measured: Measured, eta: Radius) -> list[str]:
    """The models by robust accuracy under the worst case, the highest first."""
    return sorted(measured.defenses, key=lambda name: measured.worst(name, eta)["error"])


def attacker(record: dict[str, Any], eta: Radius) -> str:
    """What an attack may do, with the radius on both scales, and in 255ths if it bounds pixels.

    Example:
      >>> attacker({"norm": "l2"}, 2.0)[:70]
      'an attack may change an image by a Euclidean distance of at most eta 2'
    """
    linf, what = record["norm"] == "linf", CHANGES[record["norm"]]
    if record.get("preprocess") == "standardize_per_image":
        return (
            f"an attack may change {what} at most eta {eta} on the scale of images that are "
            "standardized one by one"
        )
    if isinstance(eta, str):
        return f"an attack may change {what} at most its own radius, {record_radius(record, eta)}"
    eps = epsilon_of(eta)
    others = record.get("unions", {}).get(str(eta), {})
    return (
        f"an attack may change {what} at most eta {eta:g} for pixels in [-1, 1], which is eps "
        f"{eps:g}{f' ({255 * eps:g}/255)' if linf else ''} for pixels in [0, 1]"
        + "".join(f", or {CHANGES[norm]} at most eta {one:g}" for norm, one in others.items())
    )


def strongest(measured: Measured, defense: str, eta: Radius) -> list[dict[str, Any]]:
    """The cells of a model's attacks with the largest error, several if equal; [] of no attack."""
    cells = measured.real_attacks(defense, eta)
    return [one for one in cells if one["error"] == max(other["error"] for other in cells)]


def names_of(cells: list[dict[str, Any]]) -> str:
    """The attacks of cells in a list, the first three by name.

    Example:
      >>> names_of([{"attack": name} for name in "abcde"])
      'a, b, c and 2 more'
    """
    rest = len(cells) - LISTED
    names = ", ".join(cell["attack"] for cell in cells[:LISTED])
    return names + (f" and {rest} more" if rest > 0 else "")


def _strongest_sentence(measured, defense, eta):
    cells = strongest(measured, defense, eta)
    if not cells:
        return "No attack was run."
    kind, verb = ("attack is", "leaves") if len(cells) == 1 else ("attacks are", "leave")
    alone = percent(accuracy(cells[0]))
    return f"The strongest {kind} {names_of(cells)}, which alone {verb} {alone}."
