"""The base class `Verifier`: certified lower bounds of a classifier's margins."""

import math
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from mmtf.bounds.balls import Ball, as_ball
from mmtf.bounds.graph import Graph
from mmtf.bounds.interval import row_norms
from mmtf.bounds.problem import Problem, default_chunk, require_examples
from mmtf.errors import require_int

# Examples whose bounds are kept in memory together.
BATCH = 64


class Verifier:
    """Base class: `verifier(x, y, threat)` bounds logit y - logit j from below on the ball.

    A subclass defines `tighten`.

    Args:
      classifier: a Keras model, a Classifier of one, or a `Graph`.
      chunk: number of rows computed together; None: as many as fit into the memory.
      batch_size: examples computed together.

    Attributes:
      name: name in tables.
      cheap: whether it takes milliseconds for an example.

    Raises:
      ConfigError: the classifier has a layer that bounds do not support.
    """

    name: ClassVar[str] = ""
    cheap: ClassVar[bool] = True

    def __init__(self, classifier: Any, *, chunk: int | None = None, batch_size: int = BATCH):
        require_int("batch_size", batch_size)
        self.graph = classifier if isinstance(classifier, Graph) else Graph(classifier)
        self.chunk = default_chunk(self.graph) if chunk is None else chunk
        require_int("chunk", self.chunk)
        self.batch_size = batch_size

    def __call__(self, x: Any, y: Any, threat: Any) -> np.ndarray:
        """Lower bounds of the margins.

        They hold in real arithmetic for the float32 weights of the model. They are computed in
        float64 without directed rounding: the error is that of some thousand roundings of 1e-16.

        Args:
          x: images in the box, [N, ...].
          y: labels, int [N].
          threat: a ThreatModel or a Ball.

        Returns:
          float64 [N, C]: at [i, j] a lower bound of logit y_i - logit j over all images in the
          ball around x_i; inf at j = y_i. An image whose row is positive is classified as y_i
          everywhere in its ball.

        Raises:
          ConfigError: `threat` is no ball, or the images or labels do not fit.
        """
        ball, found = as_ball(threat), []
        self.supports(ball)
        x, y = require_examples(self.graph, x, y)
        norms = row_norms(self.graph, ball.norm, self.chunk)
        for i in range(0, max(len(x), 1), self.batch_size):
            rows = slice(i, i + self.batch_size)
            problem = Problem.of(self.graph, ball, x[rows], y[rows], chunk=self.chunk, norms=norms)
            self.tighten(problem, Deadline())
            found.append(problem.margins)
        return np.concatenate(found)

    def supports(self, ball: Ball) -> None:
        """Raises ConfigError if the verifier cannot be used for its graph in this ball."""

    def tighten(self, problem: Problem, deadline: "Deadline") -> None:
        """Raises the bounds in `problem.margins`.

        Args:
          problem: examples of one batch.
          deadline: when to stop improving.
        """
        raise NotImplementedError(f"{type(self).__name__} must define tighten.")


class Deadline:
    """A point in time after which a verifier should stop improving; None: never.

    Args:
      seconds: from now.

    Example:
      >>> Deadline().passed, Deadline(0.0).passed
      (False, True)
    """

    def __init__(self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._end = math.inf if seconds is None else clock() + seconds

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return self._clock() >= self._end

    @property
    def left(self) -> float:
        """Seconds until then, >= 0; inf without a deadline."""
        return max(0.0, self._end - self._clock())
