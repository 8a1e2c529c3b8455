"""Affine operations: their value, their interval bound, and their transpose by automatic gradients.

For y = A x + b the coefficients of a linear function <a, y> in terms of x are A^T a, the
vector-Jacobian product (VJP) of the operation. One implementation so serves dense layers,
convolutions, average pools and reshapes alike.
"""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow import Tensor

Pair = tuple[Tensor, Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Affine:
    """y = sum_i A_i x_i + b of one or more inputs.

    Attributes:
      linear: (x_1, ...) -> sum_i A_i x_i for tensors [R, ...].
      absolute: (r_1, ...) -> sum_i |A_i| r_i for r >= 0, or an upper bound of it; None: no entry
        of A is negative, so it is `linear`.
      bias: () -> b, which broadcasts against y; None: zero.
      mixing: whether an output depends on several input values. Interval bounds of a chain of
        operations are exact as long as only one of them mixes.

    Example:
      >>> double = Affine(lambda x: 2.0 * x, bias=lambda: 1.0)
      >>> low, high = double.interval((tf.constant([[0.0]]), tf.constant([[1.0]])))
      >>> float(low[0, 0]), float(high[0, 0])
      (1.0, 3.0)
    """

    linear: Callable[..., Tensor]
    absolute: Callable[..., Tensor] | None = None
    bias: Callable[[], Tensor] | None = None
    mixing: bool = False

    def forward(self, *inputs: Tensor) -> Tensor:
        """The output for inputs [R, ...]."""
        return self._shifted(self.linear(*inputs))

    def interval(self, *bounds: Pair) -> Pair:
        """Bounds of the output for inputs in [low, high] (Gowal et al. 2018, Eq. 6).

        With the center c and the radius r of the input the output lies in
        A c + b - |A| r, A c + b + |A| r.
        """
        center = self.forward(*[(low + high) / 2 for low, high in bounds])
        radius = (self.absolute or self.linear)(*[(high - low) / 2 for low, high in bounds])
        return center - radius, center + radius

    def transpose(self, a: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """A_i^T a for each input.

        Args:
          a: [R, ...], coefficients of the output.
          shapes: shape of each input, without the first axis.

        Returns:
          A tensor [R, *shape] for each input.
        """
        rows = tf.shape(a)[0]
        zeros = [tf.zeros([rows, *shape], a.dtype) for shape in shapes]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(zeros)
            y = self.linear(*zeros)
        found = tape.gradient(
            y, zeros, output_gradients=a, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return [
            tf.ensure_shape(one, [None, *shape]) for one, shape in zip(found, shapes, strict=True)
        ]

    def constant(self, a: Tensor) -> Tensor:
        """<a, b> of each row, [R]."""
        axes = list(range(1, a.shape.rank))
        if self.bias is None:
            return tf.zeros([tf.shape(a)[0]], a.dtype)
        return tf.reduce_sum(a * tf.cast(self.bias(), a.dtype), axes)

    def _shifted(self, y):
        return y if self.bias is None else y + tf.cast(self.bias(), y.dtype)
