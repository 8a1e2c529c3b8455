"""The two ways a net's weights begin: as in the TensorFlow tutorials, or as Keras does it."""

from typing import Any

import keras

from mmtf.config import INITIALIZERS
from mmtf.errors import require_choice


class Initializers:
    """Hands out one seeded kernel initializer and one bias initializer per layer.

    Args:
      kind: `tutorial` (truncated normal and constant biases as given per layer) or `keras`
        (Glorot uniform, zero biases).
      seed: seed of the first layer; every further layer takes the next seed.
    """

    def __init__(self, kind: str, seed: int):
        require_choice("init", kind, INITIALIZERS)
        self._tutorial = kind == "tutorial"
        self._seed = seed * 1000

    def __call__(self, deviation: float, bias: float) -> dict[str, Any]:
        """Keyword arguments for a Keras layer; `deviation` and `bias` are the tutorial's."""
        self._seed += 1
        if not self._tutorial:
            kernel = keras.initializers.GlorotUniform(seed=self._seed)
            return {"kernel_initializer": kernel, "bias_initializer": "zeros"}
        kernel = keras.initializers.TruncatedNormal(0.0, deviation, seed=self._seed)
        return {
            "kernel_initializer": kernel,
            "bias_initializer": keras.initializers.Constant(bias),
        }
