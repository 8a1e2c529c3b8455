"""FAB: its projection against a general solver, and the smallest perturbation of linear models."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from mmtf.attacks.apgd import APGD
from mmtf.attacks.fab import FAB
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_projection_is_the_nearest_point_of_plane_and_box(norm, rng):
    attack = FAB(ThreatModel(eta=0.1, norm=norm))
    x = np.clip(rng.uniform(-1.3, 1.3, (12, 2, 3, 1)), -1, 1).astype(np.float32)
    w = rng.normal(0, 1, x.shape).astype(np.float32)
    w[:, 0, 0] = 0.0
    reachable = (w * rng.uniform(-0.9, 0.9, x.shape)).sum((1, 2, 3))  # a plane through the box
    offset = (-reachable).astype(np.float32)
    step = attack._to_plane(tf.constant(x), tf.constant(w), tf.constant(offset)).numpy()
    z = x + step
    assert np.abs(z).max() <= 1 + 1e-6
    # float32 sums of six products up to 3: 1e-6 each.
    np.testing.assert_allclose((w * z).sum((1, 2, 3)) + offset, 0, atol=5e-6)
    for i in range(len(x)):
        found = np.abs(step[i]).max() if norm == "linf" else np.linalg.norm(step[i])
        assert found == pytest.approx(nearest(norm, x[i], w[i], offset[i]), abs=2e-4)


def nearest(norm, x, w, offset):
    """The distance by a general solver."""
    x, w = x.ravel().astype(np.float64), w.ravel().astype(np.float64)
    if norm == "linf":  # min t, |z - x| <= t
        ones = np.ones([len(x), 1])
        bounds = [(-1, 1)] * len(x) + [(0, None)]
        upper = np.block([[np.eye(len(x)), -ones], [-np.eye(len(x)), -ones]])
        done = scipy.optimize.linprog(
            [*np.zeros(len(x)), 1],
            A_ub=upper,
            b_ub=[*x, *-x],
            A_eq=[[*w, 0]],
            b_eq=[-offset],
            bounds=bounds,
        )
        return done.fun
    done = scipy.optimize.minimize(
        lambda z: ((z - x) ** 2).sum(),
        np.zeros(len(x)),
        jac=lambda z: 2 * (z - x),
        bounds=[(-1, 1)] * len(x),
        constraints={"type": "eq", "fun": lambda z: w @ z + offset, "jac": lambda z: w},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    return np.sqrt(done.fun)


def test_a_plane_out_of_reach_is_approached():
    attack = FAB(ThreatModel(eta=0.1))
    x = tf.zeros([1, 1, 2, 1])
    step = attack._to_plane(x, tf.constant([[[[1.0], [-2.0]]]]), tf.constant([-9.0]))
    np.testing.assert_allclose(step.numpy().ravel(), [1.0, -1.0])


@pytest.mark.parametrize(
    "norm, eta, falls",
    [("linf", 0.26, True), ("linf", 0.24, False), ("l2", 0.51, True), ("l2", 0.49, False)],
)
def test_a_linear_model_falls_just_beyond_its_distance(norm, eta, falls, linear):
    # Margin 1, weights of four pixels +-1: distance 1 / 4 in linf, 1 / 2 in l2; in between,
    # overshooting by 1.05 and coming back by 0.9 narrows it down to a few per cent.
    weights = np.zeros((4, 3), np.float32)
    weights[:, 1] = [1, -1, 1, -1]
    classifier = linear(weights, [0.0, -1.0, -9.0])
    x, y = tf.zeros([2, 2, 2, 1]), tf.zeros(2, tf.int32)
    z = FAB(ThreatModel(eta=eta, norm=norm), steps=30)(classifier, x, y)
    wrong = np.argmax(classifier(z, training=False), 1) == 1
    assert (wrong == falls).all()


@pytest.mark.parametrize("norm, eta", [("linf", 0.2), ("l2", 0.7)])
def test_about_as_strong_as_apgd(norm, eta, smooth, rng):
    threat = ThreatModel(eta=eta, norm=norm)
    x = tf.constant(rng.uniform(-1, 1, (200, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    errors = [
        np.mean(np.argmax(smooth(attack(smooth, x, y), training=False), 1) != y)
        for attack in (APGD(threat, steps=50), FAB(threat, steps=50))
    ]
    assert 0.1 < errors[0] < 1 and abs(errors[0] - errors[1]) < 0.03


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"targets": 0}, {"alpha_max": 0}, {"overshoot": 0.9}, {"beta": 1.0}]
)
def test_impossible_settings_are_refused(options):
    with pytest.raises(ConfigError):
        FAB(ThreatModel(eta=0.1), **options)
