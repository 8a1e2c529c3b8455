"""The results of `python -m mmtf.magnet` as records, a table and sentences."""

from collections.abc import Sequence
from typing import Any

from mmtf.evaluation.results import Result
from mmtf.reports.markdown import markdown_table


def entries(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A dict for each classifier and attack, as plain JSON data: errors in both conventions.

    `error` counts a rejected image as right, `reject_wrong` as wrong; `rejected` is their share.
    A classifier without rules of rejection has one error for both.
    """
    return [one.to_dict() for one in results]


def table(cells: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of robust accuracies in percent with 95 % intervals.

    Args:
      cells: of `entries`.

    Example:
      >>> cell = {"defense": "magnet", "attack": "pgd", "n": 10, "error": 0.0, "ci_low": 0.0}
      >>> cell |= {"ci_high": 0.28, "rejected": 1.0, "rejected_low": 0.72, "rejected_high": 1.0}
      >>> cell |= {"reject_wrong": 1.0, "reject_wrong_low": 0.72, "reject_wrong_high": 1.0}
      >>> print(table([cell]).splitlines()[-1])
      | magnet | pgd (through the reformer) | 100.0 [72.0, 100.0] | 0.0 [0.0, 28.0] | 100.0 |
    """
    header = [
        "model",
        "attack",
        "robust accuracy, %: reject = right",
        "reject = wrong",
        "rejected, %",
    ]
    rows = []
    for cell in cells:
        right = _accuracy(cell["error"], cell["ci_low"], cell["ci_high"])
        row = [cell["defense"], title(cell), right, right, ""]
        if "rejected" in cell:
            ends = cell["reject_wrong_low"], cell["reject_wrong_high"]
            row[3:] = [_accuracy(cell["reject_wrong"], *ends), f"{100 * cell['rejected']:.1f}"]
        rows.append(row)
    return markdown_table(header, rows)


def title(cell: dict[str, Any]) -> str:
    """The attack's name and what it attacks.

    Example:
      >>> title({"attack": "pgd@classifier"}), title({"attack": "worst"})
      ('pgd@classifier (gray box)', 'worst')
    """
    attack = cell["attack"]
    if attack.startswith("selective@"):
        return f"{attack} (transfer between packs)"
    if "@" in attack:
        return f"{attack} (gray box)"
    if attack == "selective":
        return f"{attack} (adaptive)"
    through = "rejected" in cell and attack not in ("none", "worst")
    return f"{attack} (through the reformer)" if through else attack


def false_positive_line(found: dict[str, Any], target: float) -> str:
    """A sentence on the unperturbed images that are rejected.

    Args:
      found: of `mmtf.magnet.measuring.false_positives`.
      target: of the recipe.

    Example:
      >>> found = {"rejected": 3, "n": 1000, "rate": 0.003, "ci_low": 0.001, "ci_high": 0.0088}
      >>> false_positive_line(found, 0.002)
      'False positives: 3 of 1,000 unperturbed test images are rejected, 0.30 % [0.10, 0.88]; \
the target of 0.20 % is within the interval.'
    """
    low, high = found["ci_low"], found["ci_high"]
    place = "within" if low <= target <= high else "above" if target > high else "below"
    return (
        f"False positives: {found['rejected']:,} of {found['n']:,} unperturbed test images are "
        f"rejected, {100 * found['rate']:.2f} % [{100 * low:.2f}, {100 * high:.2f}]; the target of "
        f"{100 * target:.2f} % is {place} the interval."
    )


def _accuracy(error: float, low: float, high: float) -> str:
    return f"{100 * (1 - error):.1f} [{100 * (1 - high):.1f}, {100 * (1 - low):.1f}]"
