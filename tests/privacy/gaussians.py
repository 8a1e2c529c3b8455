"""Two-dimensional Gaussian examples whose best filters are known."""

import numpy as np

from mmtf.privacy import PrivacyData


def examples(
    target_mean: tuple[float, float],
    private_mean: tuple[float, float],
    count: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x = +-target_mean +- private_mean + standard normal noise, with the two signs' labels.

    The labels are balanced exactly and independent of each other.
    """
    rng = np.random.default_rng(seed)
    target, private = (np.arange(count) // k % 2 for k in (1, 2))
    signs = 2 * np.stack([target, private], 1) - 1
    x = signs @ np.array([target_mean, private_mean]) + rng.normal(size=(count, 2))
    return x.astype(np.float32), target, private


def gaussians(target_mean: tuple[float, float], private_mean: tuple[float, float]) -> PrivacyData:
    """4,000 training and 4,000 test examples."""
    train, test = (examples(target_mean, private_mean, 4000, seed) for seed in (0, 1))
    return PrivacyData("gaussians", *train, *test)
