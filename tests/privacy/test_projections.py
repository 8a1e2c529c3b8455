"""Baselines against closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from mmtf.errors import ConfigError
from mmtf.privacy import measure
from mmtf.privacy.baselines import BASELINES, gaussian, gaussian_deviation, laplace
from mmtf.privacy.projections import erased_lda, erasure, plda, ppls
from tests.privacy.gaussians import gaussians

A, B = 1.5, 2.0


@pytest.fixture(scope="module")
def data():
    return gaussians((A, 0.0), (0.0, B))


@pytest.fixture(scope="module")
def arrays(data):
    x = data.flat()[0]
    return x - x.mean(0), data.target_train, data.private_train


def cosine(found, axis):
    return abs(found[:, 0] @ np.asarray(axis)) / np.linalg.norm(found[:, 0])


def test_plda_and_ppls_find_the_target_axis(arrays):
    x, target, private = arrays
    assert cosine(plda(x, target, private, 1), (1, 0)) > 0.99
    assert cosine(ppls(x, target, private, 1), (1, 0)) > 0.99


def test_ppls_deflates():
    rng = np.random.default_rng(0)
    target, private = np.arange(400) % 2, np.arange(400) // 2 % 2
    x = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) + np.outer(target, rng.normal(size=6))
    x = x - x.mean(0)
    correlations = np.corrcoef((x @ ppls(x, target, private, 3)).T)
    assert np.abs(correlations - np.eye(3)).max() < 1e-9


def test_erasure_leaves_no_difference_of_means(arrays):
    x, _, private = arrays
    kept = x @ erasure(x, private)
    gap = kept[private == 1].mean(0) - kept[private == 0].mean(0)
    assert np.abs(gap).max() < 1e-5


def test_erased_lda_is_the_target_axis(arrays):
    assert cosine(erased_lda(*arrays), (1, 0)) > 0.999


def test_accuracies_are_those_of_the_closed_form(data):
    cell = measure(BASELINES["erasure + LDA"](data, 1, 0), data, attackers=["softmax"])
    deviation = math.sqrt(0.25 / cell.n)
    assert abs(cell.target - norm.cdf(A)) < 4 * deviation
    assert 0.5 <= cell.leak < 0.5 + 4 * deviation
    raw = measure(BASELINES["raw"](data, 2, 0), data, attackers=["softmax"])
    assert abs(raw.leak - norm.cdf(B)) < 4 * deviation


def test_gaussian_noise_meets_its_guarantee_with_equality():
    for epsilon, delta in [(0.5, 1e-5), (3.0, 1e-6), (100.0, 1e-5)]:
        s = gaussian_deviation(2.0, epsilon, delta)
        low, high = -1 / s - epsilon * s / 2, 1 / s - epsilon * s / 2
        reached = norm.cdf(high) - math.exp(epsilon + norm.logcdf(low))
        assert reached == pytest.approx(delta, rel=1e-4)


def test_noise_is_calibrated_and_drawn_afresh(data):
    noisy = laplace(data, 1, 0, epsilon=2.0)
    a, b = noisy(data.x_train), noisy(data.x_train)
    plain = BASELINES["PCA"](data, 1, 0)(data.x_train)
    clip = np.median(np.abs(plain))
    # The difference of two independent draws: variance 2 * 2 scale^2, scale = 2 clip / epsilon.
    assert np.std(a - b) == pytest.approx(2 * (2 * clip / 2.0), rel=0.06)


def test_more_noise_keeps_less(data):
    cells = [measure(gaussian(data, 2, 0, epsilon=e), data, attackers=["softmax"]) for e in (1, 50)]
    assert cells[0].target < cells[1].target - 0.1


def test_impossible_epsilon(data):
    with pytest.raises(ConfigError, match="epsilon > 0"):
        gaussian(data, 1, 0, epsilon=0.0)
