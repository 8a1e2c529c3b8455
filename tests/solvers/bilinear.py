"""Every rule on f = u'Av written out in NumPy, with df/du = Av and df/dv = A'u.

Each function takes (A, u, v) and returns the players after one step with the rates LAMBDA and
SIGMA. The constants are sums of few powers of 1/2, exact in float32 as Keras keeps learning rates.
"""

import numpy as np

from mmtf.solvers import (
    Alternating,
    Consensus,
    Extragradient,
    KBeam,
    Optimistic,
    Sensitivity,
    Simultaneous,
    Unrolled,
)

LAMBDA, SIGMA, GAMMA, RATE, K = 0.125, 0.25, 0.375, 0.5, 3
RATES = {"u_optimizer": LAMBDA, "v_optimizer": SIGMA}


def simultaneous(A, u, v):
    return u - LAMBDA * A @ v, v + SIGMA * A.T @ u


def alternating(A, u, v):
    v = v + SIGMA * A.T @ u
    return u - LAMBDA * A @ v, v


def alternating_two(A, u, v):
    v = v + 2 * SIGMA * A.T @ u
    return u - LAMBDA * A @ v, v


def sensitivity(A, u, v):
    return u - LAMBDA * (A @ v + GAMMA * A @ A.T @ u), v + SIGMA * A.T @ u


def sensitivity_sequential(A, u, v):
    # A (v + sigma A'u) + gamma A A'u: the two orders differ by sigma A A'u.
    return u - LAMBDA * (A @ v + (SIGMA + GAMMA) * A @ A.T @ u), v + SIGMA * A.T @ u


def unrolled(A, u, v):
    # f(u, v_k(u)) = u'Av + k rate u'AA'u.
    return u - LAMBDA * (A @ v + 2 * K * RATE * A @ A.T @ u), v + SIGMA * A.T @ u


def extragradient(A, u, v):
    half_u, half_v = simultaneous(A, u, v)
    return u - LAMBDA * A @ half_v, v + SIGMA * A.T @ half_u


def consensus(A, u, v):
    return (
        u - LAMBDA * (A @ v + GAMMA * A @ A.T @ u),
        v + SIGMA * (A.T @ u - GAMMA * A.T @ A @ v),
    )


def k_beam_one(A, u, v):
    u = u - LAMBDA * A @ v
    return u, v + SIGMA * A.T @ u


class OptimisticReference:
    """The only rule with a memory: call one object for successive steps."""

    def __init__(self):
        self.last = None

    def __call__(self, A, u, v):
        gradients = A @ v, A.T @ u
        before = self.last or gradients
        self.last = gradients
        return (
            u - LAMBDA * (2 * gradients[0] - before[0]),
            v + SIGMA * (2 * gradients[1] - before[1]),
        )


class KBeamReference:
    """Also the beams live on: candidate 0 is v, the others are placed by the caller."""

    def __init__(self, others):
        self.others = others

    def __call__(self, A, u, v):
        if self.others is not None:
            self.beams, self.others = [v, *self.others], None
        best = int(np.argmax([u @ A @ x for x in self.beams]))
        u = u - LAMBDA * A @ self.beams[best]
        self.beams = [x + SIGMA * A.T @ u for x in self.beams]
        return u, self.beams[best]


def cases():
    """name -> (a new solver, a function of one NumPy step)."""
    second = {**RATES, "gamma": GAMMA}
    return {
        "simultaneous": (Simultaneous(**RATES), simultaneous),
        "alternating": (Alternating(**RATES), alternating),
        "alternating_two": (Alternating(**RATES, v_steps=2), alternating_two),
        "sensitivity": (Sensitivity(**second), sensitivity),
        "sensitivity_hvp": (Sensitivity(**second, second_order="hvp"), sensitivity),
        "sensitivity_sequential": (
            Sensitivity(**second, order="sequential"),
            sensitivity_sequential,
        ),
        "sensitivity_sequential_hvp": (
            Sensitivity(**second, order="sequential", second_order="hvp"),
            sensitivity_sequential,
        ),
        "unrolled": (Unrolled(**RATES, k=K, rate=RATE), unrolled),
        "extragradient": (Extragradient(**RATES), extragradient),
        "optimistic": (Optimistic(**RATES), OptimisticReference()),
        "consensus": (Consensus(**second), consensus),
        "k_beam_one": (KBeam(**RATES, beams=1), k_beam_one),
    }


CASES = list(cases())
