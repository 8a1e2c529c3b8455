"""Two replicas = one = NumPy: a norm of a gradient is not the sum of replicas' norms."""

import numpy as np
import pytest

from . import bilinear
from .replicas import matrix, played, start
from .test_contract import TABLE

# With every rule each gradient is summed over the replicas, as the bilinear game shows; what Adam,
# projections and Keras' models add is the same in all, but the norm of a gradient.
QUICK = ["alternating", "sensitivity"]


@pytest.fixture(scope="module")
def results():
    return played(QUICK)


@pytest.fixture(scope="module")
def all_networks():
    return played([name for name in TABLE if name not in QUICK])


def expected(name):
    u, v = start()
    if name == "k_beam_three":
        reference = bilinear.KBeamReference([v + 1.0, v - 2.0])
    else:
        _, reference = bilinear.cases()[name]
    A = matrix()
    for _ in range(3):
        before = u, v
        u, v = reference(A, u, v)
    return A, before, u, v


@pytest.mark.parametrize("name", [*bilinear.CASES, "k_beam_three"])
def test_weights_are_those_of_numpy(results, name):
    got = results[2]["bilinear"][name]
    _, _, u, v = expected(name)
    np.testing.assert_allclose(got["u"], u, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got["v"], v, rtol=0, atol=1e-12)


def test_the_penalty_is_that_of_the_whole(results):
    A, (u, v), _, _ = expected("sensitivity")
    got = results[2]["bilinear"]["sensitivity"]["metrics"]
    gradient = A.T @ u
    np.testing.assert_allclose(got["penalty"], [bilinear.GAMMA / 2 * gradient @ gradient] * 2)
    np.testing.assert_allclose(got["v_norm"], [np.linalg.norm(gradient)] * 2)
    np.testing.assert_allclose(got["value"], [u @ A @ v] * 2)


@pytest.mark.parametrize("name", QUICK)
def test_two_networks_with_adam_and_projection(results, name):
    assert_alike(results, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TABLE if name not in QUICK])
def test_two_networks_by_the_other_rules(all_networks, name):
    assert_alike(all_networks, name)


def assert_alike(results, name):
    one, two = (results[replicas]["networks"][name] for replicas in (1, 2))
    for a, b in zip(one["weights"], two["weights"], strict=True):
        # Adam divides gradients by their own size: ulps of small ones are magnified.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
    for key, value in one["metrics"].items():
        np.testing.assert_allclose(two["metrics"][key], value * 2, rtol=1e-9)


def test_clipping_each_replica_is_refused(results):
    assert results[1]["refusal"] == ""
    assert (
        "Expected an optimizer without clipping under several replicas" in (results[2]["refusal"])
    )
