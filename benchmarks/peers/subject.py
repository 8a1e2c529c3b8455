"""What every peer attacks, and how hard.

A peer's attack is a function (subject, x, y, threat, settings) -> images float32 NHWC, with x NHWC
in [-1, 1] and y int [N]. It keeps to the ball and the box as well as the peer does.
"""

import dataclasses
from typing import Any

import numpy as np

from benchmarks.peers.torch_copy import TorchCopy, copy_logits, torch_copy_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Iterations, the same for mmtf and its peers.

    Attributes:
      pgd_steps: of PGD, in steps of 2.5 eta / pgd_steps.
      steps: of APGD, and of APGD-T and FAB-T for each target.
      targets: of APGD-T and FAB-T.
      queries: of Square.
      deepfool_steps: at most.
      cw_steps, cw_searches, cw_rate, cw_first: of C&W: Adam's steps for each c, values of c,
        learning rate, first c.
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
      torch_copy, unit_copy: the same in PyTorch, for images in [-1, 1] and in [0, 1].
      shape: (H, W, C).
      classes: number of logits.
      seed: of a peer's random starts.
    """

    classifier: Any
    torch_copy: TorchCopy
    unit_copy: TorchCopy
    shape: tuple[int, int, int]
    classes: int
    seed: int

    def copy_errs(self, z, y) -> np.ndarray:
        """bool [N]: where the net that the peers attack gets `z` wrong."""
        return copy_logits(self.torch_copy, np.asarray(z, np.float32)).argmax(1) != np.asarray(y)


def subject_of(classifier, seed: int = 0) -> Subject:
    """`classifier`: Keras Sequential as `torch_copy_of` takes."""
    copy = torch_copy_of(classifier)
    unit = TorchCopy(copy.layers, unit=True).eval()
    shape = tuple(classifier.input_shape[1:])
    return Subject(classifier, copy, unit, shape, classifier.output_shape[-1], seed)


def to_unit(x) -> np.ndarray:
    """[-1, 1] -> [0, 1], float32."""
    return (np.asarray(x, np.float32) + np.float32(1.0)) / np.float32(2.0)


def from_unit(x) -> np.ndarray:
    return np.float32(2.0) * np.asarray(x, np.float32) - np.float32(1.0)


def order_of(threat) -> float:
    return np.inf if threat.norm == "linf" else 2
