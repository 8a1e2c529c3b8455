"""Certified errors beside attacked ones: a bracket around the worst case of each model."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from mmtf.bounds.balls import as_ball
from mmtf.bounds.cascade import VERIFIERS, verifier_of
from mmtf.bounds.certificates import Certificates, InvertedBracket, nested
from mmtf.bounds.graph import Graph
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError, require, require_int, require_names, require_number
from mmtf.evaluation.cells import Examples
from mmtf.evaluation.certified_cells import CertifiedCells, Chosen
from mmtf.evaluation.certified_radius import CertifiedRadii, bisected
from mmtf.evaluation.drawing import drawn_numbers
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff_result import Matrix
from mmtf.evaluation.results import Result
from mmtf.evaluation.unions import balls_of, union
from mmtf.radius import Radius, radius_text
from mmtf.reports.measured import CERTIFIED, CHEAP, WORST

# A measured distance above a certified radius by less than this share is rounding.
ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certification:
    """How examples are certified.

    Attributes:
      verifiers: names, see `mmtf.bounds.certify`.
      seconds_per_image: see `mmtf.bounds.certify`.
      dear_examples: number of examples, drawn at random by the seed of the evaluation, on which
        dear verifiers run; the cheap ones run on all, in a column of their own. 0: all.
      radius_tolerance: of the certified radius of each example (`mmtf.evaluation.certified_radius`)
        in the ball of the first norm; None: the radius is not computed.
    """

    verifiers: Sequence[str] = VERIFIERS
    seconds_per_image: float | None = None
    dear_examples: int = 0
    radius_tolerance: float | None = None

    def __post_init__(self):
        require_names("verifiers", self.verifiers)
        require_int("dear_examples", self.dear_examples, at_least=0)
        if self.radius_tolerance is not None:
            require_number("radius_tolerance", self.radius_tolerance, above=0)

    def graphs(
        self,
        classifiers: Mapping[str, Any],
        etas: Sequence[Radius],
        norm: str,
        others: Mapping[str, Sequence[float]] | None = None,
    ) -> dict[str, Graph]:
        """The graphs of classifiers, after checking that all verifiers support them.

        Args:
          classifiers: name -> Classifier or Keras model.
          etas, norm, others: the balls, see `mmtf.evaluation.unions.balls_of`.

        Raises:
          ConfigError: a verifier is unknown or does not support a layer or a ball, or a radius is
            to be bisected that is no number; the message begins with the classifier's name.
        """
        if self.radius_tolerance is not None:
            numbers = all(isinstance(eta, float) for eta in etas)
            require(numbers, "radii that are numbers, for a certified radius", radius_text(etas[0]))
        found = {}
        for name, classifier in classifiers.items():
            try:
                found[name] = Graph(classifier)
                for balls in balls_of(etas, norm, others).values():
                    for ball in map(as_ball, balls):
                        for verifier in self.verifiers:
                            verifier_of(verifier, found[name]).supports(ball)
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from error
        return found


def with_certificates(
    matrix: Matrix,
    graphs: Mapping[str, Graph],
    dataset: Dataset,
    how: Certification,
    *,
    etas: Sequence[Radius],
    norm: str,
    options: EvalOptions,
    others: Mapping[str, Sequence[float]] | None = None,
    say: Callable[[str], Any] = print,
) -> Matrix:
    """Adds a cell `certified` for each model and radius, after `worst`.

    Its error is the share of the examples that are not certified, at least the true worst-case
    error, which in turn is at least the error of `worst`; that counts the verifiers'
    counterexamples, too. In a union of balls an example is
    certified if it is in all of them, and each ball has a cell `certified_<norm>`, too. Where dear
    verifiers run on some of the examples, `certified_cheap` is the cell of the others on all.

    Args:
      matrix: measured by attacks on these examples.
      graphs: name of a classifier -> its graph.
      dataset: the data that was measured.
      how: the verifiers.
      etas, norm, others: the balls of the matrix, see `mmtf.evaluation.unions.balls_of`.
      options: those of the matrix.
      say: called with a line for each cell.

    Raises:
      InvertedBracket: an example is certified although an attack of the matrix breaks it; the
        message names the model, the radius and the number of the test example.
    """
    examples, balls = Examples(dataset, options.max_examples), balls_of(etas, norm, others)
    count = len(examples.y)
    drawn = Chosen(examples, drawn_numbers(count, how.dear_examples, options.seed))
    plan = _Plan(matrix, examples, drawn, how, balls)
    cells = CertifiedCells(how.seconds_per_image, options, plan.examples_of_verifiers(graphs))
    found: dict[tuple[str, float | str], Certificates] = {}
    parts: dict[tuple[str, str, float | str], Certificates] = {}
    radii: dict[str, CertifiedRadii] = {}
    for name, graph in graphs.items():
        own = {}
        for eta in balls:
            columns, own[eta] = plan.columns(cells, name, graph, eta)
            found[name, eta] = columns.pop(CERTIFIED)
            parts |= {(name, column, eta): one for column, one in columns.items()}
        _require_nested(name, own, drawn.numbers)
        alone = {eta: own[eta] for eta in own if isinstance(eta, float) and len(balls[eta]) == 1}
        for radius, one in nested(alone).items():
            own[radius] = found[name, radius] = one
        for eta in balls:
            told = found[name, eta].describe()
            say(f"{name}  eta {radius_text(eta)}  {CERTIFIED}: {told}")
        if how.radius_tolerance is not None:
            radii[name] = plan.radii(cells, name, graph, own)
            middle = radii[name].to_dict()["quantiles"]["0.5"]
            say(f"{name}  certified radius: median {middle:.3g}")
    return dataclasses.replace(
        matrix,
        cells=_with_cells(matrix.cells, found, parts, drawn.numbers),
        certificates=found,
        certified_parts=parts,
        certified_radii=radii,
        drawn=drawn.numbers if len(drawn) < count else None,
    )


class _Plan:
    """The columns of certificates, and what the attacks of a matrix broke in each ball.

    Attributes:
      everything, drawn: all examples, and those on which dear verifiers run.
      balls: radius -> the balls of the union.
    """

    def __init__(self, matrix, examples, drawn, how, balls):
        self._matrix, self._how, self.drawn, self.balls = matrix, how, drawn, balls
        self.everything = Chosen(examples, np.arange(len(examples.y)))

    def _cheap(self, graph) -> tuple[str, ...]:
        """The verifiers that run on all examples; () if all verifiers do, or none is cheap."""
        if len(self.drawn) == len(self.everything):
            return ()
        return tuple(name for name in self._how.verifiers if verifier_of(name, graph).cheap)

    def examples_of_verifiers(self, graphs) -> dict[tuple[str, ...], int]:
        """Verifiers -> number of examples, over all cells."""
        found: dict[tuple[str, ...], int] = {}
        for graph in graphs.values():
            for here in self.balls.values():
                for verifiers, chosen in (
                    (self._cheap(graph), self.everything),
                    (tuple(self._how.verifiers), self.drawn),
                ):
                    if verifiers:
                        found[verifiers] = found.get(verifiers, 0) + len(chosen) * len(here)
        return found

    def columns(self, cells, name, graph, eta) -> tuple[dict[str, Certificates], Certificates]:
        """The certificates of each column of a model at one radius, and those of the first ball."""
        here, found = self.balls[eta], {}
        if cheap := self._cheap(graph):
            each = self._in_balls(cells, name, graph, eta, cheap, self.everything)
            found[CHEAP] = union(list(each.values()), cheap)
        each = self._in_balls(cells, name, graph, eta, self._how.verifiers, self.drawn)
        if len(here) > 1:
            found |= {f"{CERTIFIED}_{norm}": one for norm, one in each.items()}
        found[CERTIFIED] = union(list(each.values()), self._how.verifiers)
        return found, each[here[0].norm]

    def _in_balls(self, cells, name, graph, eta, verifiers, chosen) -> dict[str, Certificates]:
        here, label = self.balls[eta], f"{name}  eta {radius_text(eta)}  {CERTIFIED}"
        return {
            ball.norm: cells.measured(
                graph,
                chosen,
                ball,
                verifiers,
                broken=self._broken(name, eta, ball)[chosen.numbers],
                label=f"{label} {ball.norm}" if len(here) > 1 else label,
            )
            for ball in here
        }

    def _broken(self, name, eta, ball) -> np.ndarray:
        """bool [N]: misclassified by an attack of the matrix in this ball, or without one."""
        cells = [one for one in self._matrix.cells if (one.defense, one.eta) == (name, eta)]
        if len(self.balls[eta]) == 1:
            return next(one.wrong for one in cells if one.attack == WORST)
        own = [one.wrong for one in self._attacks_in(name, ball.norm) if one.eta == eta]
        return np.logical_or.reduce([np.zeros(cells[0].n, bool), *own])

    def _attacks_in(self, name, norm) -> list[Result]:
        norms = self._matrix.norms
        return [
            one
            for one in self._matrix.cells
            if one.defense == name and norms.get((one.attack, one.eta)) == norm
        ]

    def radii(self, cells, name, graph, own) -> CertifiedRadii:
        """The certified radii of a model in the first ball, from what is known at its radii."""
        norm, spent = next(iter(self.balls.values()))[0].norm, 0.0
        sizes = [one.distance for one in self._attacks_in(name, norm) if one.distance is not None]
        distance = np.fmin.reduce([np.full(len(self.everything), np.inf), *sizes])
        distance = distance[self.drawn.numbers]

        def prove(radius: float, rows: np.ndarray) -> np.ndarray:
            nonlocal spent
            one = cells.measured(
                graph,
                self.drawn.take(rows),
                balls_of([radius], norm)[radius][0],
                self._how.verifiers,
                broken=distance[rows] <= radius,
                label=f"{name}  certified radius, eta {radius:.4g}",
                planned=False,
            )
            spent += float(one.seconds.sum())
            return one.status == "certified"

        wrong = next(iter(own.values())).status == "wrong"
        known = {eta: one.status == "certified" for eta, one in own.items()}
        low, above = bisected(wrong, known, prove, self._how.radius_tolerance)
        for row in np.flatnonzero(low > distance * (1 + ROUNDING)):
            _stop(name, self.drawn.numbers[row], low[row], distance[row])
        return CertifiedRadii(low, above, max(known), self._how.radius_tolerance, norm, spent)


def _with_cells(cells, found, parts, numbers) -> list[Result]:
    """The cells with those of certificates, each after `worst` of its model and radius.

    `worst` also counts the examples for which a verifier found an image that is misclassified.
    """
    together = []
    for cell in cells:
        if cell.attack != WORST:
            together.append(cell)
            continue
        broken = cell.wrong.copy()
        broken[numbers] |= np.isin(found[_place(cell)].status, ("wrong", "broken"))
        together.append(dataclasses.replace(cell, wrong=broken))
        here = {key[1]: one for key, one in parts.items() if (key[0], key[2]) == _place(cell)}
        for column, one in {**here, CERTIFIED: found[_place(cell)]}.items():
            wrong, seconds = one.status != "certified", float(one.seconds.sum())
            together.append(Result(column, wrong, seconds, defense=cell.defense, eta=cell.eta))
    return together


def _place(cell):
    return cell.defense, cell.eta


def _require_nested(name, own, numbers) -> None:
    """Raises InvertedBracket for an example that is broken at a radius below a certified one."""
    radii = sorted(eta for eta in own if isinstance(eta, float))
    for small, large in itertools.combinations(radii, 2):
        bad = (own[small].status == "broken") & (own[large].status == "certified")
        for row in np.flatnonzero(bad):
            _stop(name, numbers[row], large, small)


def _stop(name, number, certified, broken) -> NoReturn:
    raise InvertedBracket(
        f"{name}: example {number} is certified at radius {certified:.6g}, but an image within "
        f"radius {broken:.6g} is misclassified. The bound or the attack is at fault; please "
        "report it."
    )
