"""Steps, projection and random points of the l1 ball within the box.

A ball of radius eta around an image x in the box; all tensors are [N, ...], float32.
"""

from typing import Any

import tensorflow as tf
from tensorflow import Tensor

# A step changes one pixel in this many: 12 of MNIST's 784, between the 5 and 20 of Maini et al.
SPARSITY = 64
# Halvings of the interval of the projection's threshold: 2^-24, the precision of float32.
HALVINGS = 24
TINY = 1e-30


def project(z: Tensor, x: Tensor, eta: float, low: float, high: float) -> Tensor:
    """The nearest point to `z` in the l2 norm of those in the ball around `x` and in the box.

    Pixel i is moved from x by sign(d_i) min(max(|d_i| - t, 0), r_i), where d = z - x, r_i is the
    room that the box leaves in that direction, and t >= 0 is the smallest threshold at which the
    sum is at most eta; t is found by bisection.

    Source: Croce & Hein (2021), "Mind the box", Proposition 2.1.
    """
    delta = z - x
    size, axes = tf.abs(delta), _axes(z)
    room = tf.maximum(tf.where(delta > 0, high - x, x - low), 0.0)

    def moved(threshold):
        return tf.minimum(tf.maximum(size - threshold, 0.0), room)

    def halved(number, least, most):
        middle = (least + most) / 2
        outside = tf.reduce_sum(moved(middle), axes, keepdims=True) > eta
        return number + 1, tf.where(outside, middle, least), tf.where(outside, most, middle)

    most = tf.reduce_max(size, axes, keepdims=True)
    start = 0, tf.zeros_like(most), most
    _, least, _ = tf.while_loop(lambda number, *_: number < HALVINGS, halved, start)
    # At the lower end the sum is eta or, by rounding, a little more; inside the ball it is less.
    kept = moved(least)
    total = tf.reduce_sum(kept, axes, keepdims=True)
    kept *= tf.minimum(1.0, eta / tf.maximum(total, TINY))
    return tf.clip_by_value(x + tf.sign(delta) * kept, low, high)


def steepest_step(gradient: Tensor) -> Tensor:
    """argmax over ||d||_1 <= 1 of <gradient, d>: the sign of the greatest entry; 0 for zeros.

    Of several greatest entries the first is taken.
    """
    flat = _flat(gradient)
    greatest = tf.argmax(tf.abs(flat), 1)
    step = tf.one_hot(greatest, tf.shape(flat)[1], dtype=flat.dtype) * tf.sign(flat)
    return tf.reshape(step, tf.shape(gradient))


def ascended(
    gradient: Tensor, z: Tensor, size: Any, low: float, high: float, *, sparse: bool
) -> Tensor:
    """argmax of <gradient, z'> over z' in the box with ||z' - z||_1 <= size.

    The pixels of greatest |gradient| move to the border of the box, one after the other, as far as
    `size` goes. From an image, with the radius as size, this is the maximizer of a linear loss.

    Args:
      gradient: of the loss to raise.
      z: points of the box, of the same shape.
      size: a number or a scalar tensor.
      low, high: the box.
      sparse: whether each pixel takes at most an equal share of the size, by which one pixel in
        SPARSITY moves, or more where the box stops some: many steps along one or two pixels each
        would be needed otherwise (Maini et al. 2020, "Adversarial robustness against the union of
        multiple perturbation models", section 4; Tramer & Boneh 2019).
    """
    flat, images = _flat(gradient), _flat(z)
    room = tf.where(flat > 0, high - images, images - low) * tf.abs(tf.sign(flat))
    if sparse:
        moving = (tf.shape(flat)[1] + SPARSITY - 1) // SPARSITY
        room = tf.minimum(room, size / tf.cast(moving, flat.dtype))
    order = tf.argsort(tf.abs(flat), 1, "DESCENDING", stable=True)
    ordered = tf.gather(room, order, batch_dims=1)
    before = tf.cumsum(ordered, 1, exclusive=True)
    taken = tf.minimum(tf.maximum(size - before, 0.0), ordered)
    taken = tf.gather(taken, tf.argsort(order, 1), batch_dims=1)
    moved = tf.reshape(taken * tf.sign(flat), tf.shape(z))
    return tf.clip_by_value(z + moved, low, high)


def random_delta(shape: Tensor, seed: Tensor, eta: float, dtype: tf.DType) -> Tensor:
    """Points drawn uniformly from the ball of radius eta around 0.

    With exponential variates e_0, ..., e_d and random signs it is eta e_i / (e_0 + ... + e_d),
    i > 0.

    Args:
      shape: of the points, int32 [rank].
      seed: int tensor [2].
      eta: radius.
      dtype: of the points.
    """
    pixels = tf.reduce_prod(shape[1:])
    # 1 - U is in (0, 1], so that its logarithm is finite.
    uniform = tf.random.stateless_uniform([shape[0], pixels + 1], seed, dtype=dtype)
    drawn = -tf.math.log(1.0 - uniform)
    share = drawn[:, 1:] / tf.reduce_sum(drawn, 1, keepdims=True)
    sign = tf.random.stateless_uniform([shape[0], pixels], seed + 1, dtype=dtype)
    return tf.reshape(eta * share * tf.where(sign < 0.5, -1.0, 1.0), shape)


def _axes(tensor):
    return list(range(1, tensor.shape.rank))


def _flat(tensor):
    shape = tf.shape(tensor)
    return tf.reshape(tensor, [shape[0], tf.reduce_prod(shape[1:])])
