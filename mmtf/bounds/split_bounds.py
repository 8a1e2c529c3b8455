"""Bounds of subdomains of a reduced net: CROWN with Lagrange multipliers (Wang et al. 2021).

A subdomain fixes the signs of some units' inputs z. That makes these units affine, and the
constraint s z >= 0 enters with a multiplier b >= 0: on the subdomain

    f >= f - sum of b s z >= the CROWN bound of the right-hand side,

for every b and for every slope of the other units' lower lines. Projected Adam moves both to the
greatest bound. All functions bound a batch of rows, each with its own subdomain.
"""

from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.bounds.adam import Moments, ascend
from mmtf.bounds.backward import of_rows
from mmtf.bounds.balls import Region, minimum

# A branching that improves one side only is worth little; see `best_branching`.
LITTLE = 1e-3
# Relative to bounds above 1: more than the rounding of bounds in float32.
CLAIMED = 1e-5


class Net(NamedTuple):
    """Tensors of a `Reduced` net; see there."""

    region: Region
    matrix: Tensor
    offsets: Tensor
    low: Tensor
    high: Tensor
    slope: Tensor


class Rows(NamedTuple):
    """Linear functions, each on a subdomain, and the parameters of its bound.

    Attributes:
      a: float64 [B, pixels + 1 + units], coefficients.
      signs: float64 [B, units]: 1 where the input of a unit is >= 0 on the subdomain, -1 where it
        is <= 0, 0 where its sign is not fixed.
      alpha: float64 [B, units], slopes of the lower lines.
      beta: float64 [B, units], the multipliers, >= 0; used where a sign is fixed.
    """

    a: Tensor
    signs: Tensor
    alpha: Tensor
    beta: Tensor


def bound(norm: str, nodes: int, net: Net, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """The bound of each row for its slopes and multipliers.

    Args:
      norm: of the ball.
      nodes: number of activation nodes.
      net: the net.
      rows: the rows.

    Returns:
      The bounds [B], and the coefficients of the pixels [B, pixels] and of the outputs of the units
      [B, units].
    """
    low, high = _clamped(net, rows.signs)
    loose = (low < 0) & (high > 0)
    certain = tf.where(low >= 0, tf.ones_like(low), net.slope)
    chord = (high - net.slope * low) / tf.where(loose, high - low, 1.0)
    upper, lower = tf.where(loose, chord, certain), tf.where(loose, rows.alpha, certain)
    intercept = tf.where(loose, (1.0 - chord) * high, 0.0)
    multiplier = rows.signs * rows.beta
    first = net.region.x.shape[1] + 1
    a, constant, passed = rows.a, 0.0, [rows.a[:, :0]]
    for k in reversed(range(nodes)):
        start, end = net.offsets[k], net.offsets[k + 1]
        own = a[:, first + start : first + end]
        up, down = tf.maximum(own, 0.0), tf.minimum(own, 0.0)
        z = up * lower[:, start:end] + down * upper[:, start:end] - multiplier[:, start:end]
        constant += tf.reduce_sum(down * intercept[:, start:end], 1)
        a = a[:, : first + start] + z @ net.matrix[start:end, : first + start]
        passed.append(own)
    image = tf.ensure_shape(a[:, : first - 1], [None, first - 1])
    least = constant + a[:, first - 1] + _least(norm, image, net.region)
    return least, image, tf.concat(passed[::-1], 1)


def optimize(
    norm: str, nodes: int, net: Net, rows: Rows, until: Tensor, settings: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Raises the bounds of rows by slopes and multipliers.

    In linf balls the search runs in float32; any slopes and multipliers give a valid bound, which
    is computed in float64 at the end.

    Args:
      norm, nodes, net, rows: see `bound`.
      until: float64 [B]; the iterations end when every row has this bound.
      settings: float64 [4]: the number of iterations, the learning rates of the slopes and of the
        multipliers, and the factor by which they fall in each iteration.

    Returns:
      The bounds [B], the slopes and multipliers that give them [B, units], and the images that
      minimize the last linear functions [B, pixels].
    """
    fast, moved, enough = _single(norm, (net, rows, until))
    settings = tf.cast(settings, moved.a.dtype)
    iterations, rates, decay = settings[0], settings[1:3], settings[3]
    # Single precision may claim more than the bound is.
    enough += CLAIMED * tf.maximum(tf.ones_like(enough), tf.abs(enough))
    least = tf.broadcast_to(fast.slope, tf.shape(moved.alpha))

    def more(number, best, *_):
        return (number <= iterations) & tf.reduce_any(best < enough)

    def step(number, best, chosen, parameters, moments):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(parameters)
            alpha, beta = parameters
            found, _, _ = bound(norm, nodes, fast, moved._replace(alpha=alpha, beta=beta))
        gradients = tape.gradient(found, parameters, unconnected_gradients="zero")
        better = (found > best)[:, None]
        chosen = tuple(
            tf.where(better, new, old) for new, old in zip(parameters, chosen, strict=True)
        )
        moments, change = ascend(moments, gradients, number + 1.0)
        rate = rates * decay**number
        alpha = tf.clip_by_value(alpha + rate[0] * change[0], least, 1.0)
        beta = tf.maximum(beta + rate[1] * change[1], 0.0) * tf.abs(moved.signs)
        return number + 1.0, tf.maximum(best, found), chosen, (alpha, beta), moments

    start = moved.alpha, moved.beta
    nothing = tf.fill([tf.shape(rows.a)[0]], tf.cast(float("-inf"), moved.a.dtype))
    state = tf.zeros_like(iterations), nothing, start, start, Moments.zero(start)
    _, _, chosen, _, _ = tf.while_loop(more, step, state)
    alpha, beta = (tf.cast(one, tf.float64) for one in chosen)
    alpha = tf.clip_by_value(alpha, tf.broadcast_to(net.slope, tf.shape(alpha)), 1.0)
    best, image, _ = bound(norm, nodes, net, rows._replace(alpha=alpha, beta=beta))
    return best, alpha, beta, minimizer(norm, nodes, net, image)


def best_branching(
    norm: str, nodes: int, net: Net, rows: Rows, until: Tensor, candidates: Tensor
) -> Tensor:
    """The unit to split each subdomain at (filtered smart branching, De Palma et al. 2021).

    The candidates are the units whose lines lose most at their coefficients. Each is split, both
    halves are bounded with the slopes and multipliers given, and the unit with the greatest product
    of the two gains is chosen.

    Args:
      norm, nodes, net, rows: see `bound`.
      until: float64 [B], the bound at which a half is settled: what exceeds it is no gain.
      candidates: number of units tried in each row, int.

    Returns:
      int32 [B], the units; every row must have one whose sign is not known.
    """
    net, rows, until = _single(norm, (net, rows, until))
    parent, _, a = bound(norm, nodes, net, rows)
    low, high = _clamped(net, rows.signs)
    loose = (low < 0) & (high > 0)
    chord = (high - net.slope * low) / tf.where(loose, high - low, 1.0)
    below = tf.minimum((1.0 - rows.alpha) * high, (net.slope - rows.alpha) * low)
    loss = tf.where(a > 0, a * below, -a * (1.0 - chord) * high)
    # A unit whose lines lose nothing can still be split, after all others.
    loss = tf.where(loose, tf.maximum(loss, 1e-12), 0.0)
    tried = tf.minimum(candidates, tf.shape(loss)[1])
    losses, units = tf.math.top_k(loss, tried)
    count = tf.shape(loss)[0]
    change = tf.one_hot(units, tf.shape(loss)[1], dtype=loss.dtype)
    change = tf.reshape(tf.stack([change, -change], 2), [count * tried * 2, -1])
    halves = of_rows(rows, tf.repeat(tf.range(count), 2 * tried))
    # A candidate that is fixed already keeps its sign; its loss is 0 and its gain too.
    signs = tf.where(halves.signs == 0, change, halves.signs)
    found, _, _ = bound(norm, nodes, net, halves._replace(signs=signs))
    found = tf.minimum(tf.reshape(found, [count, tried, 2]), until[:, None, None])
    gains = tf.maximum(found - parent[:, None, None], 0.0) + LITTLE
    value = tf.where(losses > 0, tf.reduce_prod(gains, 2), -1.0)
    chosen = tf.argmax(value, 1, tf.int32)
    return tf.gather(units, chosen, batch_dims=1)


def descend(
    norm: str, nodes: int, net: Net, a: Tensor, z: Tensor, steps: Tensor
) -> tuple[Tensor, Tensor]:
    """Searches the ball for the least value of rows of the exact net (Frank & Wolfe 1956).

    In every step z moves towards the image of the ball that minimizes the linear function with the
    gradient at z, so it stays in the ball whatever its norm.

    Args:
      norm, nodes, net: see `bound`.
      a: float64 [B, pixels + 1 + units], coefficients.
      z: float64 [B, pixels], images of the ball at which to start.
      steps: number of steps, int.

    Returns:
      The least values [B], and the images that attain them [B, pixels].
    """
    first = net.region.x.shape[1] + 1

    def step(number, z, least, best):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            known = tf.concat([z, tf.ones_like(z[:, :1])], 1)
            for k in range(nodes):
                start, end = net.offsets[k], net.offsets[k + 1]
                inputs = tf.matmul(known, net.matrix[start:end, : first + start], transpose_b=True)
                known = tf.concat([known, tf.maximum(inputs, net.slope[start:end] * inputs)], 1)
            value = tf.reduce_sum(a * known, 1)
        better = value < least
        best = tf.where(better[:, None], z, best)
        corner = minimizer(norm, nodes, net, tape.gradient(value, z))
        z += (corner - z) / tf.cast(number + 1, z.dtype)
        return number + 1, z, tf.minimum(value, least), best

    start = tf.constant(0), z, tf.fill([tf.shape(a)[0]], tf.constant(float("inf"), a.dtype)), z
    _, _, least, best = tf.while_loop(lambda number, *_: number <= steps, step, start)
    return least, best


def minimizer(norm: str, nodes: int, net: Net, a: Tensor) -> Tensor:
    """The image of the ball that minimizes <a, z>, for each row of a, [B, pixels].

    Args:
      norm, nodes, net: see `bound`.
      a: float64 [B, pixels]; of rows of zeros the center of the ball.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(a)
        least = _least(norm, a, net.region)
    at = tape.gradient(least, a)
    return tf.where(tf.reduce_any(a != 0, 1, keepdims=True), at, net.region.x)


def _least(norm, a, region):
    a = tf.ensure_shape(a, [None, region.x.shape[1]])
    if norm != "linf":  # whose formula broadcasts one region to all rows
        region = of_rows(region, tf.zeros([tf.shape(a)[0]], tf.int32))
    return minimum(norm, a, region)


def _single(norm, structure):
    """float64 tensors in float32, in which searches run; l2 and l1 balls need float64."""
    if norm != "linf":
        return structure
    return tf.nest.map_structure(
        lambda one: tf.cast(one, tf.float32) if one.dtype == tf.float64 else one, structure
    )


def _clamped(net, signs):
    """Bounds of the units' inputs on each subdomain."""
    low = tf.where(signs > 0, tf.maximum(net.low, 0.0), net.low)
    return low, tf.where(signs < 0, tf.minimum(net.high, 0.0), net.high)
