"""Accuracy under FGSM and PGD of the classifier in training."""

import contextlib
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mmtf import losses
from mmtf.attacks.iterated import PGD
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.precision import computing_in
from mmtf.data.dataset import Dataset
from mmtf.games.base import steepest_attack
from mmtf.kernels import optimized
from mmtf.threat import ThreatModel

STEPS = 10  # of PGD
WATCHED = 200  # training images that are measured where none are held out
CHUNK = 250  # images attacked together
# Computation in forward passes; a gradient takes two more. A step of a single-step game: the
# gradient of the attack and that of the weights. A measured image: FGSM, PGD and both verdicts.
STEP_PASSES = 6
IMAGE_PASSES = 3 * (STEPS + 1) + 2
# Largest share of the computation of training that unasked measurements take.
SHARE = 0.03


class Examples(NamedTuple):
    """Images that are measured.

    Attributes:
      x: float32 [N, H, W, C] in the box.
      y: int32 [N].
    """

    x: np.ndarray
    y: np.ndarray


def watched(dataset: Dataset, count: int = WATCHED) -> Examples:
    """Training examples evenly spread over the split; of a stream, the first ones.

    Args:
      dataset: as trained on.
      count: number of examples, or fewer if there are no more.
    """
    images: Any = dataset.train_images
    count = min(count, len(images))
    if getattr(images, "in_order", False):
        return Examples(*dataset.train(count))
    rows = np.linspace(0, len(images) - 1, count).astype(np.int64)
    return Examples(dataset.inputs(images[rows]).numpy(), dataset.train_labels[rows])


def watch_interval(total_steps: int, batch_size: int, examples: int = WATCHED) -> int:
    """Steps between two unasked measurements, the last at the end; 0: training is too short.

    Args:
      total_steps: of the training.
      batch_size: examples per step.
      examples: number of images measured.

    Example:
      >>> watch_interval(2200, 128), watch_interval(100, 128)
      (315, 0)
    """
    least = math.ceil(examples * IMAGE_PASSES / (SHARE * STEP_PASSES * batch_size))
    count = total_steps // least
    return math.ceil(total_steps / count) if count else 0


class Robustness:
    """Measures the accuracy of a classifier on fixed images under FGSM and under PGD.

    PGD takes STEPS steps of a quarter of the radius from random starts, the same at every
    measurement. In the norm l2 the single step is FGM. All is computed in float32.

    Args:
      classifier: in training; around a Keras model.
      threat: the constraint on both attacks.
      examples: the images.
      seed: of the random starts.
    """

    def __init__(self, classifier: Classifier, threat: ThreatModel, examples: Examples, seed: int):
        self._classifier = classifier
        self._examples, self._seed = examples, seed
        self._step, self._pgd = (
            steepest_attack(threat, 1),
            PGD(threat, steps=STEPS, stop_early=False),
        )
        # Traced for each size of a chunk, of which there are two at most: kernels are slower for
        # batches of unknown size.
        self._counts = tf.function(self._right, autograph=False)

    def measure(self) -> tuple[int, int]:
        """The numbers of images that are classified correctly under FGSM and under PGD."""
        found = np.zeros(2, np.int64)
        for number, first in enumerate(range(0, len(self._examples.y), CHUNK)):
            x, y = (part[first : first + CHUNK] for part in self._examples)
            seed = tf.constant([self._seed, number], tf.int32)
            found += self._counts(tf.constant(x), tf.constant(np.int32(y)), seed).numpy()
        return int(found[0]), int(found[1])

    def _right(self, x, y, seed):
        model, classifier = self._classifier.model, self._classifier.at(None)
        with contextlib.ExitStack() as stack:
            stack.enter_context(computing_in(model, "float32"))
            stack.enter_context(optimized(model, "cpu"))
            found = self._step(classifier, x, y), self._by_pgd(classifier, x, y, seed)
            wrong = [losses.errors(classifier(z, training=False), y) for z in found]
        return tf.cast(tf.reduce_sum(1.0 - tf.stack(wrong), -1), tf.int32)

    def _by_pgd(self, classifier, x, y, seed):
        """The last iterate of PGD, by a loop: `attack` would be traced step by step."""
        pgd = self._pgd
        state, _ = pgd.init(classifier, x, y, pgd.start(x, seed))

        def body(number, z):
            after, _ = pgd.step(classifier, state._replace(z=z), tf.constant(pgd.step_size))
            return number + 1, after.z

        return tf.while_loop(lambda number, _: number < STEPS, body, (0, state.z))[1]
