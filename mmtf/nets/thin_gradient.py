"""A cheaper gradient with respect to the images, through a first convolution of few channels."""

import dataclasses

import keras
import tensorflow as tf

from mmtf.nets.bilinear import conv2d_of
from mmtf.nets.replaced import replaced

# Images have this many channels at most; a convolution of more fills the vector units by itself.
THIN = 4
# Channels that a block of output pixels should have, about the width of a vector unit.
WIDTH = 16


def thin_input_gradients(model: keras.Model):
    """While open, what is traced of `model` differentiates thin convolutions by blocks of pixels.

    The gradient of a convolution with respect to images of 1 to 4 channels is a convolution with
    1 to 4 output channels, which leaves most of each vector unit idle. Here it is a strided one
    whose output channels are the pixels of a block, 4 x 4 of one channel or 2 x 2 of more, then
    put back in place: the same sums, up to their order in float32. Measured on CPUs; where there is
    a GPU, nothing is changed.

    Args:
      model: built; of its layers, every Conv2D of stride 1 over at most 4 channels is meant.
        Other callables are left as they are.
    """
    meant = isinstance(model, keras.Model) and not tf.config.list_logical_devices("GPU")
    layers = model._flatten_layers() if meant else ()
    return replaced(
        (layer, "convolution_op", _operation(layer)) for layer in layers if is_thin(layer)
    )


def is_thin(layer):
    return (
        type(layer) is keras.layers.Conv2D
        and layer.built
        and layer.kernel.shape[2] <= THIN
        and layer.strides == (1, 1)
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
    )


def _operation(layer):
    padding = layer.padding.upper()

    def convolution_op(inputs, kernel):
        # Keras hands over its variable, in the type that it is to be computed in.
        inputs = tf.convert_to_tensor(inputs)
        kernel = tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel))
        if None in inputs.shape[1:]:
            return tf.nn.conv2d(inputs, kernel, 1, padding)
        return thin_conv(inputs, kernel, padding)

    return convolution_op


def thin_conv(x, kernel, padding: str, *, fused=False):
    """tf.nn.conv2d(x, kernel, 1, padding), with the gradient by blocks; differentiable twice.

    Args:
      x: [N, H, W, C], H, W and C known.
      kernel: [h, w, C, D].
      padding: `SAME` or `VALID`.
      fused: see `Bilinear`.
    """
    size = x.shape[1:]
    product = dataclasses.replace(
        conv2d_of(size, kernel.shape, (1, 1), padding),
        to_inputs=lambda upstream, kernel: _by_blocks(upstream, kernel, size[:2], padding),
    )
    return product(x, kernel, fused=fused)


def _by_blocks(upstream, kernel, size, padding):
    """sum over taps p of upstream[pixel + before - p] kernel[p]: a correlation with flipped taps.

    Block pixel (a, b) of a block at (i, j) is output channel (a, b) of a convolution with stride
    `block` whose kernel holds the flipped taps shifted by (a, b).
    """
    taps, channels = kernel.shape[:2], kernel.shape[2]
    block = max(int((WIDTH / channels) ** 0.5), 1)
    flipped = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    shifted = [
        tf.pad(flipped, [[a, block - 1 - a], [b, block - 1 - b], [0, 0], [0, 0]])
        for a in range(block)
        for b in range(block)
    ]
    by_block = tf.concat(shifted, 3)
    pads, whole = [], []
    for axis in (0, 1):
        before = (taps[axis] - 1) // 2 if padding == "SAME" else 0
        whole.append(-(-size[axis] // block) * block)
        pads.append([taps[axis] - 1 - before, whole[axis] + before - upstream.shape[axis + 1]])
    blocks = tf.nn.conv2d(upstream, by_block, block, [[0, 0], *pads, [0, 0]])
    return tf.nn.depth_to_space(blocks, block)[:, : size[0], : size[1]]
