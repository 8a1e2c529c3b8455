"""What an evaluation says of classifiers that reject images: the error if rejecting is wrong."""

from typing import Any

from mmtf.reports.errors import error_text


def rejection_lines(record: dict[str, Any], eta: float | str) -> list[str]:
    """A line for each attack on a classifier that rejects, at one radius.

    The table counts a rejected image as right.

    Args:
      record: of `mmtf.evaluate`, with `cells`.
      eta: the radius.

    Example:
      >>> cell = {"defense": "magnet", "attack": "pgd", "eta": 0.6, "rejected": 0.5}
      >>> cell |= {"reject_wrong": 0.75, "reject_wrong_low": 0.7, "reject_wrong_high": 0.8}
      >>> rejection_lines({"cells": [cell]}, 0.6)
      ['magnet rejects 50.0 % under pgd; if that counts as wrong, its error is 0.7500 (25.0 %) \
[0.7000, 0.8000].']
    """
    return [
        f"{cell['defense']} rejects {100 * cell['rejected']:.1f} % under {cell['attack']}; if that "
        f"counts as wrong, its error is {error_text(cell['reject_wrong'])} "
        f"[{cell['reject_wrong_low']:.4f}, {cell['reject_wrong_high']:.4f}]."
        for cell in record["cells"]
        if cell["eta"] == eta and "rejected" in cell
    ]
