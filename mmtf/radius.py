"""A radius on the scales that people use. No TensorFlow here."""


def describe_radius(eta: float, box: tuple[float, float] = (-1.0, 1.0)) -> str:
    """`eta` on the scale of the box, and eps, the same radius for pixels in [0, 1] and of 255.

    eps = eta / (high - low).

    Args:
      eta: radius.
      box: (low, high), the range of a pixel.

    Example:
      >>> describe_radius(0.3)
      'eta 0.3 (eps 0.15 on [0, 1], 38.25/255)'
    """
    low, high = box
    epsilon = eta / (high - low)
    return f"eta {eta:g} (eps {epsilon:g} on [0, 1], {255 * epsilon:g}/255)"
