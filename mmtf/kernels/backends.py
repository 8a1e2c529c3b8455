"""The faster operations of each backend, and the context manager that enables them."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from mmtf.errors import require_choice
from mmtf.kernels.conv_blocks import block_convolutions
from mmtf.kernels.conv_fourier import fourier_convolutions
from mmtf.kernels.conv_rows import fast_input_gradients
from mmtf.kernels.dense import narrow_dense_layers
from mmtf.kernels.second_derivatives import cpu_second_derivatives, xla_second_derivatives

BACKENDS: dict[str, tuple[Callable[[Any], AbstractContextManager], ...]] = {
    "cpu": (fast_input_gradients, fourier_convolutions, cpu_second_derivatives),
    "xla": (block_convolutions, narrow_dense_layers, xla_second_derivatives),
    "inference": (fast_input_gradients, fourier_convolutions),
    "bounds": (fast_input_gradients,),
}


@contextlib.contextmanager
def optimized(model: Any, backend: str) -> Iterator[None]:
    """Context manager: inside it the layers of `model` use the faster operations of a backend.

    A tf.function that is traced inside keeps these operations. Their results are those of the
    layer's own operations, up to the order of summation in float32.

    Args:
      model: a built Keras model. Other callables are not changed.
      backend: `cpu` for training steps, `inference` for attacks and evaluations and `bounds` for
        bounds, whose sums of few or nonnegative terms keep their own rounding; these three are for
        TensorFlow's kernels on CPUs and without effect on a machine with a GPU. `xla` for training
        steps that XLA compiles, on any device.

    Raises:
      ConfigError: an unknown backend.

    Example:
      >>> import keras
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
      >>> with optimized(model, "xla"):
      ...     model(tf.zeros([1, 2])).shape
      TensorShape([1, 3])
    """
    require_choice("backend", backend, tuple(BACKENDS))
    with contextlib.ExitStack() as stack:
        if backend == "xla" or not tf.config.list_logical_devices("GPU"):
            for replaced_operations in BACKENDS[backend]:
                stack.enter_context(replaced_operations(model))
        yield
