"""Certified errors beside attacked ones: a bracket around the worst case of each model."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmtf.bounds.balls import as_ball
from mmtf.bounds.cascade import VERIFIERS, certify, verifier_of
from mmtf.bounds.certificates import Certificates
from mmtf.bounds.graph import Graph
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError, require, require_names
from mmtf.evaluation.cells import Examples, Row
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff_result import Matrix
from mmtf.evaluation.results import Result
from mmtf.radius import Radius, radius_entry, radius_text
from mmtf.reports.measured import CERTIFIED, WORST
from mmtf.storage import cache
from mmtf.storage.digest import sha256
from mmtf.threat import ThreatModel
from mmtf.training.progress import Progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certification:
    """How examples are certified.

    Attributes:
      verifiers: names, see `mmtf.bounds.certify`.
      seconds_per_image: see `mmtf.bounds.certify`.
    """

    verifiers: Sequence[str] = VERIFIERS
    seconds_per_image: float | None = None

    def graphs(
        self, classifiers: Mapping[str, Any], etas: Sequence[Radius], norm: str
    ) -> dict[str, Graph]:
        """The graphs of classifiers, after checking that all verifiers support them.

        Raises:
          ConfigError: a verifier is unknown or does not support a layer or the ball; the message
            begins with the classifier's name.
        """
        require_names("verifiers", self.verifiers)
        found = {}
        for name, classifier in classifiers.items():
            try:
                found[name] = Graph(classifier)
                for eta in etas:
                    ball = as_ball(ThreatModel(eta=eta, norm=norm))
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
    say: Callable[[str], Any] = print,
) -> Matrix:
    """Adds a cell `certified` for each model and radius, after `worst`.

    Its error is the share of the examples that are not certified, at least the true worst-case
    error, which in turn is at least the error of `worst`.

    Args:
      matrix: measured by attacks on these examples.
      graphs: name of a classifier -> its graph.
      dataset: the data that was measured.
      how: the verifiers.
      etas, norm: the balls of the matrix.
      options: those of the matrix.
      say: called with a line for each cell.

    Raises:
      InvertedBracket: an example is certified although an attack of the matrix breaks it.
    """
    examples, cells, found = Examples(dataset, options.max_examples), [], {}
    threats = {radius_entry(eta): ThreatModel(eta=eta, norm=norm) for eta in etas}
    for cell in matrix.cells:
        cells.append(cell)
        if cell.attack != WORST:
            continue
        assert cell.defense is not None and cell.eta is not None
        one = _certified(graphs[cell.defense], cell, examples, how, threats[cell.eta], options)
        found[cell.defense, cell.eta] = one
        wrong, seconds = one.status != "certified", float(one.seconds.sum())
        cells.append(Result(CERTIFIED, wrong, seconds, defense=cell.defense, eta=cell.eta))
        say(f"{cell.defense}  eta {radius_text(cell.eta)}  {CERTIFIED}: {one.describe()}")
    return dataclasses.replace(matrix, cells=cells, certificates=found)


def _certified(graph, worst, examples, how, threat, options) -> Certificates:
    """Loads certificates from the cache, or computes and stores them."""
    row = Row(worst.defense, worst.eta, graph.classifier)
    kept = cache.Entry(None)
    if options.cache_dir is not None:
        key = [row.fingerprint, CERTIFIED, list(how.verifiers), how.seconds_per_image, threat.eta]
        key += [threat.norm, examples.digest, sha256(worst.wrong)]
        kept = cache.entry(options.cache_dir, key, ".npz", "certified-")
    found = kept.load(_read)
    if found is not None:
        return found
    label = f"{worst.defense}  eta {radius_text(worst.eta)}  {CERTIFIED}"
    bar = Progress(worst.n, label=label, unit="image", last=False) if options.progress else None
    found = certify(
        graph,
        examples.x,
        examples.y,
        threat,
        how.verifiers,
        broken=worst.wrong,
        seconds_per_image=how.seconds_per_image,
        progress=None if bar is None else lambda done: bar.update(done, {}),
    )
    if bar is not None:
        bar.close()
    kept.save(functools.partial(_write, found))
    return found


def _read(path) -> Certificates:
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    require(set(arrays) == set(_FIELDS), f"certificates in {path}", sorted(arrays))
    return Certificates(**{**arrays, "required": float(arrays["required"])})


def _write(found, path) -> None:
    np.savez_compressed(path, **{name: getattr(found, name) for name in _FIELDS})


_FIELDS = tuple(field.name for field in dataclasses.fields(Certificates))
