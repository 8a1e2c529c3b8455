"""The Keras layers that bounds support, and the error that names another one."""

from typing import Any

import keras

from mmtf.errors import ConfigError

layers = keras.layers

# Layers that do nothing when called with training=False.
IDENTITIES = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
# Linear layers with kernels; a float64 twin computes them.
KERNELS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Conv3D,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
)
# Layers without weights that only move values, and those that average them.
MOVING = (
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Flatten,
    layers.Permute,
    layers.Reshape,
    layers.UpSampling2D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
)
AVERAGING = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
)
MERGING = (layers.Add, layers.Average, layers.Concatenate, layers.Subtract)
POOLING = (layers.GlobalMaxPooling2D, layers.MaxPooling2D)
SCALING = (layers.BatchNormalization, layers.Normalization, layers.Rescaling)
ACTIVATIONS = (layers.Activation, layers.ELU, layers.LeakyReLU, layers.ReLU)
SUPPORTED = (
    *IDENTITIES,
    *KERNELS,
    *MOVING,
    *AVERAGING,
    *MERGING,
    *POOLING,
    *SCALING,
    *ACTIVATIONS,
)


def unsupported(layer: Any, detail: str = "") -> ConfigError:
    """The error for a layer that bounds do not support."""
    named = f"{type(layer).__name__} {getattr(layer, 'name', '')!r}{detail}"
    known = sorted(kind.__name__ for kind in SUPPORTED)
    return ConfigError(
        f"Expected layers that bounds support ({', '.join(known)}). Received: {named}."
    )
