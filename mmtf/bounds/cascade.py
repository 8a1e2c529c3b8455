"""`certify`: verifiers from cheap to dear, each on the examples that are still open."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.bounds.balls import Ball, as_ball
from mmtf.bounds.certificates import Certificates, InvertedBracket
from mmtf.bounds.graph import Graph
from mmtf.bounds.interval import row_norms
from mmtf.bounds.problem import Problem, default_chunk, require_examples
from mmtf.bounds.verifier import BATCH, Deadline, Verifier
from mmtf.bounds.verifiers import BOUNDS
from mmtf.errors import ConfigError, RunError, require, require_int, require_number
from mmtf.radius import radius_text
from mmtf.runtime.devices import full_float32

VERIFIERS = ("ibp", "crown_ibp", "crown", "alpha_crown")
# An example is certified if its margin is proved to exceed SAFETY times the greatest difference
# between the model's float32 logits and the float64 logits of the graph, measured at the images
# given. A margin is a difference of two logits, which doubles the error; the rest is reserve.
SAFETY, LEAST_REQUIRED = 4.0, 1e-9
# Greatest difference, relative to the logits, before the graph is said to differ from the model.
DISAGREEMENT = 1e-3
# Relative rounding allowed when a float64 bound is compared with a float64 margin.
ROUNDING = 1e-7
# By this share of their distance witnesses of verifiers are moved towards the clean image.
WITHIN = 1e-5


def certify(
    classifier: Any,
    x: Any,
    y: Any,
    threat: Any,
    verifiers: Sequence[Any] = VERIFIERS,
    *,
    adversarial: Sequence[Any] = (),
    broken: Any = None,
    seconds_per_image: float | None = None,
    batch_size: int = BATCH,
    chunk: int | None = None,
    progress: Callable[[int], Any] | None = None,
    numbers: Sequence[int] | None = None,
) -> Certificates:
    """Decides for each example whether an image of the ball can be misclassified.

    The ball includes the float32 rounding that evaluations grant to attacks
    (`Ball.with_tolerance`). A certificate is a proof about the model in real arithmetic; float32
    inference is covered by a margin of safety that is measured, not proved (`SAFETY`).

    Args:
      classifier: a Keras model, a Classifier of one, or a `Graph`.
      x: images in the box, float32 [N, ...].
      y: labels, int [N].
      threat: a ThreatModel or a Ball.
      verifiers: names in BOUNDS or `module:attribute`, classes, or verifiers of the same graph, in
        the order in which they run. Cheap ones also run on broken examples, as a check.
      adversarial: results of attacks, each float32 [N, ...] in the balls around x.
      broken: bool [N], examples that attacks are known to break, without their images; None: none.
      seconds_per_image: dear verifiers stop when a batch has taken this time for each of its
        examples that were open; None: no limit.
      batch_size: examples verified together.
      chunk: see `Verifier`.
      progress: called with the number of examples that are done.
      numbers: int [N], the numbers by which messages name the examples; None: from 0.

    Returns:
      `Certificates`.

    Raises:
      InvertedBracket: a bound exceeds the margin of an image in the ball; the message names the
        example and the verifier.
      ConfigError: a layer is not supported, an adversarial image lies outside the ball, or an
        argument is out of range.
      RunError: the graph computes other logits than the model.

    Example:
      >>> import keras
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
      >>> model.set_weights([np.array([[1.0, 0.0], [0.0, 0.0]])])
      >>> x, y = np.float32([[0.5, 0.0], [0.1, 0.0]]), np.array([0, 0])
      >>> certify(model, x, y, Ball(eta=0.2)).status.tolist()
      ['certified', 'open']
    """
    graph = classifier if isinstance(classifier, Graph) else Graph(classifier)
    if seconds_per_image is not None:
        require_number("seconds_per_image", seconds_per_image, above=0)
    require(isinstance(verifiers, list | tuple), "verifiers as a list", verifiers)
    require(len(verifiers) > 0, "at least one verifier", list(verifiers))
    require_int("batch_size", batch_size)
    x, y = require_examples(graph, x, y)
    require(len(x) > 0, "at least one image", x.shape)
    ball = as_ball(threat).with_tolerance(x[:1].size)
    chunk = chunk or default_chunk(graph)
    stages = [verifier_of(one, graph, chunk) for one in verifiers]
    for stage in stages:
        stage.supports(ball)
    known = _Known(graph, ball, x, y, adversarial, batch_size)
    known.numbers = range(len(x)) if numbers is None else numbers
    if broken is not None:
        broken = np.asarray(broken)
        require(broken.shape == (len(x),), f"{len(x)} flags of broken examples", broken.shape)
        known.decide(broken.astype(bool), "broken", "attack")
    norms = row_norms(graph, ball.norm, chunk)
    for i in range(0, len(x), batch_size):
        rows = np.arange(i, min(i + batch_size, len(x)))
        rows = rows[known.status[rows] != "wrong"]
        if len(rows):
            problem = Problem.of(graph, ball, x[rows], y[rows], chunk=chunk, norms=norms)
            problem.until = np.nextafter(known.required, np.inf)
            _run(known, problem, rows, stages, seconds_per_image)
        if progress is not None:
            progress(min(i + batch_size, len(x)))
    return Certificates(known.status, known.stage, known.margin, known.seconds, known.required)


def verifier_of(verifier: Any, graph: Graph, chunk: int | None = None) -> Verifier:
    """A verifier of `graph` from a name, a class, or a verifier.

    Raises:
      ConfigError: an unknown name, or a verifier of another graph.
    """
    if isinstance(verifier, Verifier):
        require(verifier.graph is graph, "a verifier of the same Graph", verifier)
        return verifier
    kind = BOUNDS[verifier] if isinstance(verifier, str) else verifier
    if not (isinstance(kind, type) and issubclass(kind, Verifier)):
        raise ConfigError(f"Expected a verifier's name or class. Received: {verifier!r}.")
    return kind(graph, chunk=chunk)


class _Known:
    """The state of all examples, and margins that images of the balls attain."""

    numbers: Sequence[int]

    def __init__(self, graph: Graph, ball: Ball, x, y, adversarial, batch_size):
        self.graph, self.ball, self.x, self.y = graph, ball, x, y
        count = len(x)
        self.status = np.full(count, "open", dtype="<U9")
        self.stage = np.full(count, "", dtype="<U64")
        self.margin = np.full(count, -np.inf)
        self.seconds = np.zeros(count)
        logits = self._logits(x, batch_size)
        exact = self._exact(x, batch_size)
        gap, scale = float(np.abs(logits - exact).max()), float(np.abs(exact).max())
        if not gap <= DISAGREEMENT * max(1.0, scale):
            raise RunError(
                f"The logits of the bounds' graph differ from the model's by {gap:.2g} at logits "
                f"up to {scale:.2g}: a layer computes something else than bounds assume."
            )
        self.required = max(SAFETY * gap, LEAST_REQUIRED)
        self.attained = self._margins(exact)
        self.decide(logits.argmax(1) != y, "wrong", "none")
        for number, z in enumerate(adversarial):
            z = np.asarray(z, np.float32)
            require(z.shape == x.shape, f"adversarial images {x.shape}", z.shape)
            outside = np.flatnonzero(~ball.contains(z, x))
            if len(outside):
                raise ConfigError(
                    f"Expected adversarial images in the ball of radius {radius_text(ball.eta)} "
                    f"and the box. Received: example {outside[0]} of attack {number} outside."
                )
            self.attained = np.minimum(self.attained, self._margins(self._exact(z, batch_size)))
            self.decide(self._logits(z, batch_size).argmax(1) != y, "broken", "attack")

    def try_witness(self, row: int, image: np.ndarray, stage: str) -> None:
        """Counts an example as broken if the float32 model errs on an image inside the ball."""
        z = self._rounded(image, row)
        if self.ball.contains(z, self.x[row : row + 1]).all():
            chosen = np.zeros(len(self.x), bool)
            chosen[row] = self._logits(z, 1).argmax(1)[0] != self.y[row]
            self.decide(chosen, "broken", stage)

    def check(self, rows, margins, stage: str) -> None:
        """Raises InvertedBracket if bounds exceed margins that images attain."""
        attained = self.attained[rows]
        above = margins > attained + ROUNDING * np.maximum(1.0, np.abs(attained))
        above[np.arange(len(rows)), self.y[rows]] = False
        above |= ((self.status[rows] == "broken") & (margins.min(1) > self.required))[:, None]
        if above.any():
            i, j = np.argwhere(above)[0]
            raise InvertedBracket(
                f"Example {self.numbers[rows[i]]}: {stage} proves logit {self.y[rows[i]]} - "
                f"logit {j} >= {margins[i, j]:.6g}, but an image in the ball attains "
                f"{attained[i, j]:.6g}. The bound or the attack is at fault; please report it."
            )

    def decide(self, chosen, status, stage):
        """Settles those of the chosen examples that are open."""
        chosen = chosen & (self.status == "open")
        self.status[chosen], self.stage[chosen] = status, stage

    def _margins(self, logits):
        return np.take_along_axis(logits, np.asarray(self.y, np.int64)[:, None], 1) - logits

    def _rounded(self, image, row):
        """The image in float32, moved towards the clean one so that rounding keeps the ball."""
        x = np.asarray(self.x[row : row + 1], np.float64)
        z = np.float32(x + (image[None] - x) * (1 - WITHIN))
        return np.clip(z, *map(np.float32, self.ball.box))

    def _logits(self, z, size):
        full = self.graph.classifier.at("float32")
        run = full.compiled("logits", lambda model, images: model(images, training=False))
        with full_float32():
            parts = [run(tf.constant(z[i : i + size], tf.float32)) for i in range(0, len(z), size)]
        return np.concatenate([part.numpy() for part in parts])

    def _exact(self, z, size):
        run = self.graph.compiled("logits", self.graph.forward)
        parts = [run(tf.constant(z[i : i + size], tf.float64)) for i in range(0, len(z), size)]
        return np.concatenate([part.numpy() for part in parts])


def _run(known, problem, rows, stages, seconds_per_image):
    """Runs the verifiers on one batch; `rows` are the numbers of its examples."""
    spent = 0.0
    for stage in stages:
        active = np.isin(known.status[rows], ("open", "broken") if stage.cheap else ("open",))
        if not active.any():
            continue
        problem, rows = problem.take(np.flatnonzero(active)), rows[active]
        left = None if seconds_per_image is None else seconds_per_image * len(rows) - spent
        if left is not None and left <= 0 and not stage.cheap:
            continue
        began = time.monotonic()
        stage.tighten(problem, Deadline(left))
        took = time.monotonic() - began
        spent += took
        known.seconds[rows] += took / len(rows)
        known.margin[rows] = problem.least
        for i, image in problem.witnesses.items():
            known.try_witness(int(rows[i]), image, stage.name)
        known.check(rows, problem.margins, stage.name)
        proved = np.zeros(len(known.status), bool)
        proved[rows] = problem.least > known.required
        known.decide(proved, "certified", stage.name)
