"""The classifier that all libraries attack, and the numbers of iterations.

An attack of another library is a function (subject, x, y, threat, settings) -> images float32 NHWC
in [-1, 1], with x float32 NHWC in [-1, 1] and y int [N]. The library alone keeps its images in the
ball and the box.
"""

import dataclasses
from typing import Any

import numpy as np

from benchmarks.peers.torch_copy import TorchCopy, copy_logits, torch_copy_of
from mmtf.threat import ThreatModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Iterations, the same for mmtf and its peers.

    Attributes:
      pgd_steps: steps of PGD, with step size 2.5 eta / pgd_steps.
      steps: steps of APGD, and of APGD-T and FAB-T for each target.
      targets: number of target classes of APGD-T and FAB-T.
      queries: queries of Square.
      deepfool_steps: maximum number of steps of DeepFool.
      cw_steps, cw_searches, cw_rate, cw_first: Carlini-Wagner: Adam's steps for each c, number of
        values of c, learning rate, first c.
    """

    pgd_steps: int = 40
    steps: int = 50
    targets: int = 9
    queries: int = 1000
    deepfool_steps: int = 50
    cw_steps: int = 100
    cw_searches: int = 5
    cw_rate: float = 0.05
    cw_first: float = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """One classifier in both frameworks.

    Attributes:
      classifier: the Keras model.
      torch_copy, unit_copy: PyTorch copies of it, for images in [-1, 1] and in [0, 1].
      shape: (H, W, C).
      classes: number of logits.
      seed: seed of the peers' random starts.
    """

    classifier: Any
    torch_copy: TorchCopy
    unit_copy: TorchCopy
    shape: tuple[int, int, int]
    classes: int
    seed: int

    def copy_errs(self, z: Any, y: Any) -> np.ndarray:
        """Returns bool [N]: whether the PyTorch copy misclassifies each image of `z`."""
        return copy_logits(self.torch_copy, np.asarray(z, np.float32)).argmax(1) != np.asarray(y)


def subject_of(classifier: Any, seed: int = 0) -> Subject:
    """Returns the Subject of `classifier`, a Keras Sequential as `torch_copy_of` takes it."""
    copy = torch_copy_of(classifier)
    unit = TorchCopy(copy.layers, unit=True).eval()
    shape = tuple(classifier.input_shape[1:])
    return Subject(classifier, copy, unit, shape, classifier.output_shape[-1], seed)


def to_unit(x: Any) -> np.ndarray:
    """Maps images from [-1, 1] to [0, 1], float32."""
    return (np.asarray(x, np.float32) + np.float32(1.0)) / np.float32(2.0)


def from_unit(x: Any) -> np.ndarray:
    """Maps images from [0, 1] to [-1, 1], float32."""
    return np.float32(2.0) * np.asarray(x, np.float32) - np.float32(1.0)


def order_of(threat: ThreatModel) -> float:
    """Returns the order of the threat model's norm, as in numpy.linalg.norm."""
    return np.inf if threat.norm == "linf" else 2
