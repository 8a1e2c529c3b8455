"""`FUNCTIONS`: Keras' activation functions with their bounds, in float64."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.bounds.activations import Activation, LeakyReLU, Smooth, SShaped

activations = keras.activations


def single(value: Any) -> Any:
    """A setting of a layer in float64, rounded to float32 as the layer computes with it."""
    rounded = np.asarray(value, np.float32).astype(np.float64)
    return rounded if rounded.ndim else float(rounded)


# The minimizers and the bounds of |f''| are checked in tests/bounds/test_activations.py.
GELU = Smooth(lambda z: tf.nn.gelu(z, approximate=False), -0.7517915246935645, 0.798)
SILU = Smooth(lambda z: z * tf.sigmoid(z), -1.2784645427610738, 0.5)
SIGMOID = SShaped(tf.sigmoid, lambda z: tf.sigmoid(z) * tf.sigmoid(-z))
FUNCTIONS: dict[Any, Activation | None] = {
    activations.linear: None,
    activations.relu: LeakyReLU(),
    activations.leaky_relu: LeakyReLU(single(0.2)),
    activations.tanh: SShaped(tf.tanh, lambda z: 1.0 - tf.tanh(z) ** 2),
    activations.sigmoid: SIGMOID,
    activations.softplus: SShaped(tf.nn.softplus, tf.sigmoid, math.inf),
    activations.softsign: SShaped(tf.nn.softsign, lambda z: (1.0 + tf.abs(z)) ** -2),
    activations.gelu: GELU,
    activations.silu: SILU,
}


def clipped(least: float, most: float) -> SShaped:
    """z clipped to [least, most], as relu6: its slope is 1 inside and 0 outside."""
    return SShaped(
        lambda z: tf.clip_by_value(z, tf.cast(least, z.dtype), tf.cast(most, z.dtype)),
        lambda z: tf.cast((z > least) & (z < most), z.dtype),
        (least + most) / 2,
    )


FUNCTIONS[activations.relu6] = clipped(0.0, 6.0)
FUNCTIONS[activations.hard_tanh] = clipped(-1.0, 1.0)
# x -> max(x, 0) + min(e^x - 1, 0) is convex, its slope at -0 is 1.
FUNCTIONS[activations.elu] = SShaped(tf.nn.elu, lambda z: tf.exp(tf.minimum(z, 0.0)), math.inf)
