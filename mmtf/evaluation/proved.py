"""Examples that cheap verifiers certify: no attack in the ball can break them."""

import dataclasses
from typing import Any

import numpy as np

from mmtf.bounds.balls import as_ball
from mmtf.bounds.cascade import certify
from mmtf.bounds.graph import Graph
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError
from mmtf.evaluation.results import Result

# Each takes milliseconds for an example.
CHEAP_VERIFIERS = ("ibp", "crown_ibp")


class Proved:
    """Finds, once for each classifier and ball, the examples that need no attack.

    The classifiers must not change meanwhile.

    Args:
      x: images in the box, float32 [N, ...].
      y: labels, int [N].
    """

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self._x, self._y = x, y
        self._found: dict[Any, np.ndarray] = {}
        self._graphs: dict[Classifier, Graph | None] = {}

    def certified(self, classifier: Classifier, threat: Any) -> np.ndarray:
        """bool [N]: the examples that are certified in the ball of `threat`.

        None are if the classifier is no Keras model, has a layer that bounds do not support or
        rejects images, or the constraint is no ball.
        """
        # Bounds prove the class of an image, not that the image is accepted.
        if classifier.keras_model is None or classifier.rejects:
            return np.zeros(len(self._y), bool)
        key = classifier, repr(threat)
        if key not in self._found:
            self._found[key] = self._certify(classifier, threat)
        return self._found[key]

    def _certify(self, classifier, threat):
        graph = self._graph(classifier)
        try:
            ball = as_ball(threat)
        except ConfigError:
            graph = None
        if graph is None:
            return np.zeros(len(self._y), bool)
        return certify(graph, self._x, self._y, ball, CHEAP_VERIFIERS).status == "certified"

    def _graph(self, classifier):
        if classifier not in self._graphs:
            try:
                self._graphs[classifier] = Graph(classifier)
            except ConfigError:
                self._graphs[classifier] = None
        return self._graphs[classifier]


def with_proved(
    result: Result | None, rows: np.ndarray, x: np.ndarray, keep: int, distances: bool = False
) -> Result:
    """The outcome on all examples from that on those that were attacked.

    A certified example is classified correctly; its image is the clean one.

    Args:
      result: on the examples `rows`, with images of the first `keep` of them; None: there are none.
      rows: int, numbers of the attacked examples, increasing.
      x: all images.
      keep: number of images of the outcome.
      distances: whether an outcome without attacked examples has distances, all NaN.
    """
    wrong = np.zeros(len(x), bool)
    if result is None:
        distance = np.full(len(x), np.nan) if distances else None
        return Result("", wrong, 0.0, images=x[:keep], distance=distance)
    wrong[rows] = result.wrong
    images, shown = np.array(x[:keep]), rows[rows < keep]
    images[shown] = result.images[: len(shown)]
    distance = result.distance
    if distance is not None:
        distance = np.full(len(x), np.nan)
        distance[rows] = result.distance
    return dataclasses.replace(result, wrong=wrong, images=images, distance=distance)
