"""Sizes of perturbations in a norm, and the rounding of float32 that comes on top. In float64."""

import math
from typing import Any

import numpy as np

from mmtf.radius import Box

# A pixel in [-1, 1] is rounded twice to float32 (x + delta, then the clip): 2 * 2^-24. Computing
# the bound x + eta adds as much again.
LINF_SLACK = 2.5e-7
# Relative to eta, for rounding in the sum and the square root of the l2 norm. The roundings of the
# pixels come on top (`slack`).
L2_SLACK = 1e-5


def norms_of(delta: Any, norm: str) -> np.ndarray:
    """||delta||_p of each example, float64 [N].

    Args:
      delta: [N, ...].
      norm: `linf`, `l2` or `l1`.

    Example:
      >>> norms_of([[3.0, -4.0]], "l2"), norms_of([[3.0, -4.0]], "l1")
      (array([5.]), array([7.]))
    """
    flat = np.asarray(delta, np.float64).reshape(len(delta), -1)
    if norm == "linf":
        return np.abs(flat).max(axis=1, initial=0.0)
    if norm == "l1":
        return np.abs(flat).sum(axis=1)
    return np.sqrt((flat**2).sum(axis=1))


def slack(norm: str, eta: Any, box: Box, pixels: int) -> float:
    """By how much float32 images may be outside a ball of radius `eta` by rounding alone.

    Args:
      norm: `linf`, `l2` or `l1`.
      eta: radius, used for `l2`.
      box: (low, high), the range of a pixel.
      pixels: number of values of an image.
    """
    pixel = LINF_SLACK * max(map(abs, box))
    if norm == "l2":
        return pixel * math.sqrt(pixels) + L2_SLACK * eta
    return pixel * pixels if norm == "l1" else pixel
