"""Operations that are bilinear in inputs and kernel, with replaceable gradient operations."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from mmtf.kernels.patching import kernel_tensor


@dataclasses.dataclass(frozen=True)
class Bilinear:
    """y = forward(x, kernel), linear in each argument, with given gradients; twice differentiable.

    `fused=True` is for objectives l + c ||dl/dx||^2 / 2 in which l itself is a summand; it cannot
    be differentiated a third time. Let b be the gradient of l with respect to y, and x', b' the
    derivatives of x and b along c dl/dx, which the gradient of the penalty passes from layer to
    layer. The kernel gradient of l is to_kernel(x, b), and that of the penalty is
    to_kernel(x, b') + to_kernel(x', b). Fused, it is the single product to_kernel(x + x', b + b'),
    which exceeds the sum of these three by to_kernel(x', b'), of second order in c dl/dx. In
    bfloat16 the sum x + x' is also rounded.

    Attributes:
      forward: (x, kernel) -> y.
      to_inputs: (upstream, kernel) -> gradient with respect to x.
      to_kernel: (x, upstream) -> gradient with respect to the kernel.

    Example:
      >>> float(MATMUL(tf.ones((1, 3)), tf.ones((3, 1)))[0, 0])
      3.0
    """

    forward: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    to_inputs: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    to_kernel: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

    def __call__(self, x: tf.Tensor, kernel: tf.Tensor, *, fused: bool = False) -> tf.Tensor:
        """forward(x, kernel), differentiable."""
        outputs: list[tf.Tensor] = []
        directions: list[tf.Tensor] = []

        @tf.custom_gradient
        def value(x, kernel):
            def gradient(upstream):
                at = tf.add_n([x, *directions])
                directions.clear()
                return inputs_gradient(upstream, kernel, *outputs), self.to_kernel(at, upstream)

            return self.forward(x, kernel), gradient

        @tf.custom_gradient
        def inputs_gradient(upstream, kernel, y):
            """Gradient with respect to x, bilinear in `upstream` and `kernel`.

            It takes y as an argument so that a tape differentiates it before `value`, even where
            `upstream` does not depend on y otherwise.
            """

            def gradient(direction):
                along = self.forward(direction, kernel)
                if not fused:
                    return along, self.to_kernel(direction, upstream), None
                directions.append(direction)  # for `value`
                return along, None, None

            return self.to_inputs(upstream, kernel), gradient

        outputs.append(value(x, kernel))
        return outputs[0]


def conv2d_of(
    size: Sequence[int], kernel_shape: Sequence[int], strides: Sequence[int], padding: str
) -> Bilinear:
    """tf.nn.conv2d(x, kernel, strides, padding) and its gradients.

    Args:
      size: (H, W, C) of the images.
      kernel_shape: (h, w, C, D).
      strides: (rows, columns).
      padding: `SAME` or `VALID`.
    """
    window = {"strides": [1, *strides, 1], "padding": padding}
    return Bilinear(
        forward=lambda x, kernel: tf.nn.conv2d(x, kernel, **window),
        to_inputs=lambda upstream, kernel: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.stack([tf.shape(upstream)[0], *size]),
            filter=kernel,
            out_backprop=upstream,
            **window,
        ),
        to_kernel=lambda x, upstream: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=kernel_shape, out_backprop=upstream, **window
        ),
    )


def convolution_by(product: Callable[..., Bilinear], padding: str) -> Callable:
    """A `convolution_op` for a Conv2D layer of stride 1, by `product` for images of known size.

    Args:
      product: (size, kernel_shape) as of `conv2d_of` -> Bilinear; it becomes an attribute.
      padding: `SAME` or `VALID`.
    """

    def convolution_op(inputs, kernel):
        inputs, kernel = tf.convert_to_tensor(inputs), kernel_tensor(kernel)
        if None in inputs.shape[1:]:
            return tf.nn.conv2d(inputs, kernel, 1, padding)
        return product(inputs.shape[1:], kernel.shape)(inputs, kernel)

    convolution_op.product = product  # type: ignore[attr-defined]
    return convolution_op


MATMUL = Bilinear(
    forward=tf.matmul,
    to_inputs=lambda upstream, kernel: tf.matmul(upstream, kernel, transpose_b=True),
    to_kernel=lambda x, upstream: tf.matmul(x, upstream, transpose_a=True),
)
