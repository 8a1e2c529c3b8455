"""How the steps of an iterated attack shorten: long ones to cross the ball, short ones to settle.

With a constant step an iterate ends up swinging about the maximum by a step's length.
"""

import math

# Name -> the step of iteration k of K over the first one, as a function of k / K in [0, 1).
DECAYS = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: (1.0 + math.cos(math.pi * share)) / 2.0,
}


def shares(decay: str, steps: int) -> list[float]:
    """Each step over the first, `steps` of them; the first is 1, none is 0.

    >>> shares("linear", 4)
    [1.0, 0.75, 0.5, 0.25]
    """
    return [DECAYS[decay](step / steps) for step in range(steps)]
