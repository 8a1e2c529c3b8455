"""Filters to compare with: no filter, projections in closed form, and calibrated noise."""

from collections.abc import Callable

import numpy as np
import scipy.optimize
import scipy.special

from mmtf.errors import require
from mmtf.privacy.examples import PrivacyData
from mmtf.privacy.filters import centered
from mmtf.privacy.projections import erased_lda, erasure, pca, plda, ppls, random_directions

Filter = Callable[[np.ndarray], np.ndarray]
DELTA = 1e-5


def raw(data: PrivacyData, dimensions: int, seed: int) -> Filter:
    """The examples themselves."""
    return _projected(data, np.eye(int(np.prod(data.shape))))


def random(data: PrivacyData, dimensions: int, seed: int) -> Filter:
    """Projection on random orthonormal directions."""
    return _projected(data, random_directions(centered(data), dimensions, seed))


def principal(data: PrivacyData, dimensions: int, seed: int) -> Filter:
    """Projection on the principal components."""
    return _projected(data, pca(centered(data), dimensions))


def private_lda(data: PrivacyData, dimensions: int, seed: int) -> Filter:
    """Projection on the directions of private LDA."""
    labels = data.target_train, data.private_train
    return _projected(data, plda(centered(data), *labels, dimensions))


def private_pls(data: PrivacyData, dimensions: int, seed: int) -> Filter:
    """Projection on the directions of privacy-preserving partial least squares."""
    labels = data.target_train, data.private_train
    return _projected(data, ppls(centered(data), *labels, dimensions))


def erased(data: PrivacyData, dimensions: int, seed: int) -> Filter:
    """All dimensions without the differences between the private classes' means."""
    return _projected(data, erasure(centered(data), data.private_train))


def erased_discriminant(data: PrivacyData, dimensions: int, seed: int) -> Filter:
    """Linear discriminants of the target after that erasure: one output for two classes."""
    return _projected(data, erased_lda(centered(data), data.target_train, data.private_train))


# Name in tables -> function (data, dimensions, seed) -> filter.
BASELINES: dict[str, Callable[[PrivacyData, int, int], Filter]] = {
    "raw": raw,
    "random": random,
    "PCA": principal,
    "PLDA": private_lda,
    "PPLS": private_pls,
    "erasure": erased,
    "erasure + LDA": erased_discriminant,
}


def gaussian(
    data: PrivacyData, dimensions: int, seed: int, *, epsilon: float, delta: float = DELTA
) -> Filter:
    """Principal components, clipped to an l2 norm and released with Gaussian noise.

    Each example's release is (epsilon, delta)-differentially private: any two examples can be told
    apart only that well. The clip norm C is the median norm of the training examples' components,
    which counts as public; the sensitivity is 2 C.

    Args:
      data, dimensions, seed: see `BASELINES`; the seed is that of the noise.
      epsilon: > 0.
      delta: 0 < delta < 1.
    """
    return _noisy(data, dimensions, seed, 2, lambda size: gaussian_deviation(size, epsilon, delta))


def laplace(data: PrivacyData, dimensions: int, seed: int, *, epsilon: float) -> Filter:
    """Principal components, clipped to an l1 norm and released with Laplace noise.

    Each example's release is epsilon-differentially private; norm and sensitivity as in `gaussian`.
    """
    require(epsilon > 0, "epsilon > 0", epsilon)
    return _noisy(data, dimensions, seed, 1, lambda size: size / epsilon)


def gaussian_deviation(sensitivity: float, epsilon: float, delta: float = DELTA) -> float:
    """The smallest standard deviation s of Gaussian noise that is (epsilon, delta)-private.

    It solves, with D the l2 sensitivity,

        delta = Phi(D / 2s - epsilon s / D) - exp(epsilon) Phi(-D / 2s - epsilon s / D)

    Source: Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy", ICML 2018,
    Theorem 8.

    Example:
      >>> bool(gaussian_deviation(1.0, 1.0) < np.sqrt(2 * np.log(1.25e5)))  # the classical bound
      True
    """
    require(epsilon > 0 and 0 < delta < 1, "epsilon > 0 and 0 < delta < 1", (epsilon, delta))

    def excess(log_s):
        s = np.exp(log_s)
        low, high = -0.5 / s - epsilon * s, 0.5 / s - epsilon * s
        # In logarithms, for exp(epsilon) may overflow.
        shift = np.exp(epsilon + scipy.special.log_ndtr(low))
        return scipy.special.ndtr(high) - shift - delta

    return sensitivity * float(np.exp(scipy.optimize.brentq(excess, -12.0, 12.0)))


def _projected(data: PrivacyData, directions: np.ndarray) -> Filter:
    mean, scale = _statistics(data)

    def apply(x: np.ndarray) -> np.ndarray:
        return (x.reshape(len(x), -1) - mean) / scale @ directions

    return apply


def _statistics(data):
    x = data.flat()[0]
    return x.mean(0), max(float(x.std()), 1e-6)


def _noisy(data, dimensions, seed, order, scale_of) -> Filter:
    project = principal(data, dimensions, seed)
    clip = float(np.median(np.linalg.norm(project(data.x_train), ord=order, axis=1)))
    scale, rng = scale_of(2 * clip), np.random.default_rng(seed)
    draw = rng.normal if order == 2 else rng.laplace

    def apply(x: np.ndarray) -> np.ndarray:
        z = project(x)
        norms = np.linalg.norm(z, ord=order, axis=1, keepdims=True)
        return z * np.minimum(1.0, clip / np.maximum(norms, 1e-12)) + draw(0, scale, z.shape)

    return apply
