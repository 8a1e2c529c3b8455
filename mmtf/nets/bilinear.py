"""Operations linear in their inputs and in a kernel, with transposes of one's choice."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Bilinear:
    """y = forward(x, kernel), linear in each, whose gradients are the two transposes; twice.

    Called with fused=True, where y is differentiated through a gradient in x, the two parts of the
    kernel's gradient are one product. Let b be the gradient that reaches y, and a' the one that
    reaches the gradient in x, which was to_inputs(b, kernel). The parts are to_kernel(x, b + b')
    and to_kernel(a', b), with b' what a' makes of the layers that follow; fused,
    to_kernel(x + a', b + b') is more than their sum by to_kernel(a', b'), of second order in a'.
    That holds where b is the same in both, so the outer objective must hold the inner one as a
    summand of weight 1.

    Attributes:
      forward: (x, kernel) -> y.
      to_inputs: (upstream, kernel) -> gradient in x.
      to_kernel: (x, upstream) -> gradient in the kernel.
    """

    forward: Callable
    to_inputs: Callable
    to_kernel: Callable

    def __call__(self, x, kernel, *, fused=False):
        directions = []

        @tf.custom_gradient
        def value(x, kernel):
            def gradient(upstream):
                at = tf.add_n([x, *directions])
                directions.clear()
                return inputs_gradient(upstream, kernel), self.to_kernel(at, upstream)

            return self.forward(x, kernel), gradient

        @tf.custom_gradient
        def inputs_gradient(upstream, kernel):
            """Linear in both arguments again."""

            def gradient(direction):
                along = self.forward(direction, kernel)
                if not fused:
                    return along, self.to_kernel(direction, upstream)
                directions.append(direction)  # for `value`, whose turn comes after
                return along, None

            return self.to_inputs(upstream, kernel), gradient

        return value(x, kernel)
