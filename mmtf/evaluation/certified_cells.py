"""Cells of certificates: from the cache, or proved part by part and kept."""

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmtf.bounds.balls import as_ball
from mmtf.bounds.cascade import certify
from mmtf.bounds.certificates import Certificates, InvertedBracket
from mmtf.bounds.graph import Graph
from mmtf.data.sources import ImageSource
from mmtf.errors import require
from mmtf.evaluation.cells import Examples
from mmtf.evaluation.options import EvalOptions
from mmtf.storage import cache
from mmtf.storage.digest import sha256
from mmtf.training.progress import Progress

# Examples whose certificates are kept together: what a stopped evaluation proves again at most.
PART = 128


class Chosen:
    """Some of the examples of an evaluation.

    Args:
      examples: all of them.
      numbers: int [n], ascending, which ones.
    """

    def __init__(self, examples: Examples, numbers: np.ndarray):
        self._examples, self.numbers = examples, numbers

    def take(self, rows: Any) -> "Chosen":
        """Some of these; `rows` are places among `numbers`."""
        return Chosen(self._examples, self.numbers[rows])

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def y(self) -> np.ndarray:
        """Labels, int [n]."""
        return self._examples.y[self.numbers]

    def x(self) -> np.ndarray:
        """Images, float32 [n, H, W, C]."""
        images = self._examples.x
        if isinstance(images, ImageSource):  # which gives slices only
            return np.concatenate([images[i : i + 1] for i in self.numbers])
        return images[self.numbers]


class CertifiedCells:
    """Proves the cells of an evaluation; shows the time left for those that are planned.

    Args:
      seconds_per_image: see `mmtf.bounds.certify`.
      options: of the evaluation.
      planned: verifiers -> number of examples that they will run on, over all cells.
    """

    def __init__(
        self,
        seconds_per_image: float | None,
        options: EvalOptions,
        planned: Mapping[tuple[str, ...], int] | None = None,
    ):
        self._limit, self._options = seconds_per_image, options
        self._left = dict(planned or {})
        self._done = dict.fromkeys(self._left, 0)
        self._spent = dict.fromkeys(self._left, 0.0)

    def seconds_left(self) -> float | None:
        """Estimated seconds for what is planned; None before anything is known."""
        known = [key for key, done in self._done.items() if done]
        if not known:
            return None
        return sum(self._left[key] * self._spent[key] / self._done[key] for key in known)

    def measured(
        self,
        graph: Graph,
        chosen: Chosen,
        ball: Any,
        verifiers: Sequence[str],
        *,
        broken: np.ndarray,
        label: str,
        planned: bool = True,
    ) -> Certificates:
        """Certificates of the chosen examples, part by part from the cache or proved.

        Args:
          graph: the classifier.
          chosen: the examples.
          ball: a ThreatModel or a Ball.
          verifiers: names.
          broken: bool [n], see `mmtf.bounds.certify`.
          label: of the progress; begins the message of an error.
          planned: whether the cell is among those whose time is estimated.

        Raises:
          InvertedBracket: a certified example is among the broken ones.
        """
        key, bar = tuple(verifiers) if planned else (), None
        if self._options.progress:
            left = self.seconds_left if key in self._left else None
            bar = Progress(len(chosen), label=label, unit="image", last=False, left=left)
        found = []
        try:
            for start in range(0, len(chosen), PART):
                rows = slice(start, start + PART)
                part, own = chosen.take(rows), broken[rows]
                entry = self._entry(graph, part, ball, verifiers, own)
                one = entry.load(_read)
                if one is None:
                    one = self._prove(graph, part, ball, verifiers, key, own, label, bar, start)
                    entry.save(functools.partial(_write, one))
                elif key in self._left:
                    self._left[key] -= len(part)
                found.append(one)
        finally:
            if bar is not None:
                bar.close()
        return joined(found)

    def _prove(self, graph, part, ball, verifiers, key, broken, label, bar, start) -> Certificates:
        told, began = 0, time.monotonic()

        def tell(done: int) -> None:
            nonlocal told, began
            now = time.monotonic()
            if key in self._left:
                self._left[key] -= done - told
                self._done[key] += done - told
                self._spent[key] += now - began
            told, began = done, now
            if bar is not None:
                bar.update(start + done, {})

        try:
            return certify(
                graph,
                part.x(),
                part.y,
                ball,
                list(verifiers),
                broken=broken,
                seconds_per_image=self._limit,
                progress=tell,
                numbers=part.numbers.tolist(),
            )
        except InvertedBracket as error:
            raise InvertedBracket(f"{label}: {error}") from error

    def _entry(self, graph, part, ball, verifiers, broken) -> cache.Entry:
        if self._options.cache_dir is None:
            return cache.Entry(None)
        exact = as_ball(ball)
        key = [graph.classifier.fingerprint, "certified", list(verifiers), self._limit]
        key += [exact.eta, exact.norm, list(exact.box), sha256(part.x(), part.y, broken)]
        return cache.entry(self._options.cache_dir, key, ".npz", "certified-")


def joined(parts: Sequence[Certificates]) -> Certificates:
    """Certificates of examples that were verified in parts.

    The margin above which an example counts as certified is measured on the images of a part; the
    largest of all counts, so that an example between the two becomes `open`.
    """
    required = max(one.required for one in parts)
    whole = {
        name: np.concatenate([getattr(one, name) for one in parts])
        for name in ("status", "stage", "margin", "seconds")
    }
    short = (whole["status"] == "certified") & ~(whole["margin"] > required)
    whole["status"][short], whole["stage"][short] = "open", ""
    return Certificates(**whole, required=required)


def _read(path) -> Certificates:
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    require(set(arrays) == set(_FIELDS), f"certificates in {path}", sorted(arrays))
    return Certificates(**{**arrays, "required": float(arrays["required"])})


def _write(found, path) -> None:
    np.savez_compressed(path, **{name: getattr(found, name) for name in _FIELDS})


_FIELDS = tuple(field.name for field in dataclasses.fields(Certificates))
