"""Approximate and true utility with intervals, and how far the classifier is locally linear."""

from typing import Any

import numpy as np

from mmtf.additive.linearized import Linearized, difference
from mmtf.classifiers.classifier import Classifier
from mmtf.stats.intervals import wilson

SCALES = (0.125, 0.25, 0.5, 1.0)
QUANTILES = (0.5, 0.9, 0.99)


def approximate_right(images: Linearized, v: np.ndarray) -> np.ndarray:
    """bool [n]: s + <w, v> > 0 with v = v_a + v_d [n, H, W, C], the game's utility."""
    return images.moved(v) > 0


def true_right(
    classifier: Classifier, x: np.ndarray, signs: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """bool [n]: whether g(x + v) has the sign y; g = 0 is wrong."""
    return signs * difference(classifier, x + v) > 0


def rate(wrong: np.ndarray) -> dict[str, Any]:
    """Error, its Wilson interval at 95 % and n, of bool [n].

    Example:
      >>> rate(np.array([True, False]))["error"]
      0.5
    """
    n = len(wrong)
    low, high = wilson(int(wrong.sum()), n)
    return {"error": float(wrong.mean()), "ci_low": low, "ci_high": high, "n": n}


def utilities(
    classifier: Classifier, x: np.ndarray, images: Linearized, attack: np.ndarray, added: np.ndarray
) -> dict[str, Any]:
    """Errors of the classifier and of its linearization at x + v_a + v_d.

    Args:
      classifier: f.
      x: float32 [n, H, W, C].
      images: f linearized at x.
      attack: v_a, [n, H, W, C].
      added: v_d, [n, H, W, C].

    Returns:
      `true` and `approximate`, each as of `rate`, and `class_errors`, the true errors of the
      images of class 0 and of class 1 (None for a class without images).
    """
    v = attack + added
    wrong = ~true_right(classifier, x, images.signs, v)
    by_class = [wrong[images.signs == sign] for sign in (-1.0, 1.0)]
    return {
        "true": rate(wrong),
        "approximate": rate(~approximate_right(images, v)),
        "class_errors": [float(own.mean()) if len(own) else None for own in by_class],
    }


def linearity(
    classifier: Classifier, x: np.ndarray, images: Linearized, v: np.ndarray
) -> list[dict[str, Any]]:
    """How far g and its linearization differ at x + t v, for t in `SCALES`.

    Args:
      classifier: f.
      x: float32 [n, H, W, C].
      images: f linearized at x.
      v: [n, H, W, C].

    Returns:
      One dictionary for each t: `scale` t, `disagreement`, the share of images at which the signs
      differ, and `gap`, the quantiles `QUANTILES` of |g - g_lin| / ||grad g||. Images with a zero
      gradient count in the first and not in the second.
    """
    rows, known = [], images.scales > 0
    for t in SCALES:
        moved = images.moved(t * v)
        g = images.signs * difference(classifier, x + np.float32(t) * v)
        gap = np.abs(g[known] / images.scales[known] - moved[known])
        rows.append(
            {
                "scale": t,
                "disagreement": float(((g > 0) != (moved > 0)).mean()),
                "gap": [float(q) for q in np.quantile(gap, QUANTILES)] if known.any() else None,
            }
        )
    return rows


def between_boundaries(
    classifier: Classifier, x: np.ndarray, images: Linearized, eta: float
) -> dict[str, Any]:
    """Images that the step +eta w breaks, away from the linearized boundary.

    A point between two parallel pieces of the boundary that are closer than 2 eta can be broken
    both ways; the approximate game knows of one.

    Returns:
      `rate` of the images that are right at x and wrong at x + eta w, and `also_by_fgm`: the share
      of all images that are wrong at x - eta w too.
    """
    step = np.float32(eta) * images.directions
    right = true_right(classifier, x, images.signs, np.zeros_like(x))
    away = right & ~true_right(classifier, x, images.signs, step)
    toward = ~true_right(classifier, x, images.signs, -step)
    return {**rate(away), "also_by_fgm": float((away & toward).mean())}
