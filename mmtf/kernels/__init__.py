"""Faster TensorFlow operations for the layers of a Keras model; `optimized` enables them."""

from mmtf.kernels.backends import BACKENDS, optimized

__all__ = ["BACKENDS", "optimized"]
