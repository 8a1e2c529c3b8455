"""Initial weights of the classifiers: those of TensorFlow's tutorials, or Keras' defaults."""

from typing import Any

import keras

from mmtf.config import INITIALIZERS
from mmtf.errors import require_choice


class Initializers:
    """Gives each layer in turn its initializers, with a seed of its own.

    Args:
      kind: `tutorial` (truncated normal kernels and constant biases, given for each layer) or
        `keras` (Glorot uniform kernels, zero biases).
      seed: the k-th layer, k = 1, 2, ..., has the seed 1000 * seed + k.

    Raises:
      ConfigError: another kind.

    Example:
      >>> sorted(Initializers("keras", seed=0)(0.1, 0.1))
      ['bias_initializer', 'kernel_initializer']
    """

    def __init__(self, kind: str, seed: int):
        require_choice("init", kind, INITIALIZERS)
        self._tutorial = kind == "tutorial"
        self._seed = seed * 1000

    def __call__(self, deviation: float, bias: float) -> dict[str, Any]:
        """Keyword arguments of the next Keras layer.

        Args:
          deviation: standard deviation of the kernel before truncation, for `tutorial`.
          bias: value of the biases, for `tutorial`.
        """
        self._seed += 1
        if not self._tutorial:
            kernel = keras.initializers.GlorotUniform(seed=self._seed)
            return {"kernel_initializer": kernel, "bias_initializer": "zeros"}
        kernel = keras.initializers.TruncatedNormal(0.0, deviation, seed=self._seed)
        return {
            "kernel_initializer": kernel,
            "bias_initializer": keras.initializers.Constant(bias),
        }
