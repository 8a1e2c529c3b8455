"""Columns of `python -m mmtf.evaluate` on smoothed models: their vote and their certificates."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmtf.classifiers.classifier import Classifier
from mmtf.data.dataset import Dataset
from mmtf.errors import require
from mmtf.evaluation.cells import Examples
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff_result import Matrix
from mmtf.evaluation.results import Result
from mmtf.evaluation.unions import balls_of
from mmtf.radius import Radius, radius_text
from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.measured import SMOOTHED, VOTE
from mmtf.smoothing.certificates import ABSTAIN
from mmtf.smoothing.measuring import Measured, measure_smoothed
from mmtf.smoothing.report import share
from mmtf.smoothing.settings import Settings


def l2_radii(
    etas: Sequence[Radius], norm: str, others: Mapping[str, Sequence[float]] | None = None
) -> dict[float | str, float]:
    """The l2 radius of each column of radii.

    Args:
      etas, norm, others: the balls, see `mmtf.evaluation.unions.balls_of`.

    Raises:
      ConfigError: there are no l2 balls.

    Example:
      >>> l2_radii([0.1, 0.3], "linf", {"l2": [1.0, 3.0]})
      {0.1: 1.0, 0.3: 3.0}
    """
    found = {
        eta: ball.radius
        for eta, balls in balls_of(etas, norm, others).items()
        for ball in balls
        if ball.norm == "l2"
    }
    wanted = f"l2 radii for {SMOOTHED} (--norm=l2, or --eta_l2 beside --eta)"
    require(len(found) == len(etas), wanted, norm)
    return found


def with_smoothed(
    matrix: Matrix,
    classifiers: Mapping[str, Classifier],
    dataset: Dataset,
    settings: Mapping[str, Settings],
    *,
    radii: Mapping[float | str, float],
    options: EvalOptions,
    say: Callable[[str], Any] = print,
) -> tuple[Matrix, list[dict[str, Any]]]:
    """Adds two cells for each model f and radius, which are about the smoothed model g.

    g(x) = argmax_c P(f(x + e) = c), e ~ N(0, sigma^2 I) (Cohen et al. 2019). The cell
    `smoothed_vote` has the error of g on the clean images, by the vote of n draws; `smoothed` the
    share of the images for whose true class no l2 ball of at least the radius is certified, which
    is at least the error of any l2 attack on g within the radius. An abstention counts as an error
    in both. Attacks of the other cells are on f: with them these make no bracket.

    Args:
      matrix: measured by attacks on these examples.
      classifiers: name -> f.
      dataset: the data that was measured.
      settings: name -> how f is smoothed and certified; without an attack.
      radii: radius of the matrix -> l2 radius for pixels in [-1, 1], of `l2_radii`.
      options: those of the matrix. Counts of finished images are kept in its `cache_dir`.
      say: called with a line for each cell.

    Returns:
      The matrix, and the entry `smoothed` of its record: a dict per model.
    """
    examples = Examples(dataset, options.max_examples)
    found = {
        name: measure_smoothed(
            classifier,
            examples,
            settings[name],
            cache_dir=options.cache_dir,
            progress=options.progress,
        )
        for name, classifier in classifiers.items()
    }
    cells: list[Result] = []
    for place, cell in enumerate(matrix.cells):
        cells.append(cell)
        after = matrix.cells[place + 1 :][:1]
        last = not after or (after[0].defense, after[0].eta) != (cell.defense, cell.eta)
        if last and cell.defense is not None and cell.eta is not None:
            added = _cells(found[cell.defense], cell.defense, cell.eta, radii[cell.eta])
            cells += added
            for one in added:
                where = f"{cell.defense}  eta {radius_text(cell.eta)}  {one.attack}"
                say(f"{where}: {HEADING} {error_text(one.error)}")
    further = {
        f"{name}/{SMOOTHED}/{key}": array
        for name, one in found.items()
        for key, array in (
            ("label", one.certified.label),
            ("radius", one.certified.radius),
            ("vote", one.predicted),
        )
    }
    entries = [_entry(name, one, radii) for name, one in found.items()]
    return dataclasses.replace(matrix, cells=cells, further=matrix.further | further), entries


def _cells(one: Measured, defense: str, eta: float | str, radius: float) -> list[Result]:
    seconds = float(one.seconds.sum())
    given: dict[str, Any] = {"seconds": seconds, "defense": defense, "eta": eta}
    return [
        Result(VOTE, one.predicted != one.labels, **given),
        Result(SMOOTHED, ~one.certified.correct(one.labels, radius), **given),
    ]


def _entry(name: str, one: Measured, radii: Mapping[float | str, float]) -> dict[str, Any]:
    """What a record says about one smoothed model, as plain JSON data."""
    settings = one.settings
    return {
        "defense": name,
        "sigma": settings.sigma,
        "sigma_01": settings.sigma / 2,
        "draws": settings.n,
        "selection_draws": settings.n0,
        "alpha": settings.alpha,
        "n": len(one.labels),
        "vote": share(one.predicted == one.labels),
        "vote_abstains": float((one.predicted == ABSTAIN).mean()),
        "abstains": float((one.certified.label == ABSTAIN).mean()),
        "average_radius": one.average_radius,
        "largest_radius": settings.largest,
        "radii": [
            {
                "eta": eta,
                "radius": radius,
                "certified": share(np.asarray(one.certified.correct(one.labels, radius))),
            }
            for eta, radius in radii.items()
        ],
    }
