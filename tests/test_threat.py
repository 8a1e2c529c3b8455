"""The ball and the box against NumPy, dual norms and laws of chance."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.bounds.balls import as_ball
from mmtf.data.pixels import as_kept
from mmtf.errors import ConfigError
from mmtf.fit import examples
from mmtf.norms import l2 as room
from mmtf.threat import ThreatModel

NORMS = ("linf", "l2", "l1")
ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}
# A few roundings of numbers up to 2: 2 ulps of 2^-23 each.
ROUNDING = 5e-7


def project(threat, z, x):
    return threat.project(tf.constant(z), tf.constant(x)).numpy()


def images(rng, count=200, shape=(5, 4, 2), low=-1.0, high=1.0):
    return rng.uniform(low, high, (count, *shape)).astype(np.float32)


def projection(z, x, eta, norm, box=(-1.0, 1.0)):
    """Eq. 5's constraint in NumPy: pixel by pixel for linf, by bisection over t for l2 and l1."""
    z, x = z.astype(np.float64), x.astype(np.float64)
    if norm == "l1":
        return projection_l1(z, x, eta, box)
    if norm == "linf":
        return np.minimum(np.maximum(z, np.maximum(x - eta, box[0])), np.minimum(x + eta, box[1]))
    result = np.empty_like(z)
    for i, (one, center) in enumerate(zip(z, x, strict=True)):
        low, high = 0.0, 2.0
        for _ in range(60):
            t = (low + high) / 2
            inside = np.linalg.norm(np.clip(center + t * (one - center), *box) - center) <= eta
            low, high = (t, high) if inside else (low, t)
        result[i] = np.clip(center + min(low, 1.0) * (one - center), *box)
    return result


def projection_l1(z, x, eta, box):
    """The threshold at which the moves sum to eta, from the sorted ends of all linear pieces."""
    result = np.empty_like(z)
    for i, (one, center) in enumerate(zip(z, x, strict=True)):
        delta = one - center
        size, room = np.abs(delta), np.where(delta > 0, box[1] - center, center - box[0])

        def moved(t, size=size, room=room):
            return np.minimum(np.maximum(size - t, 0), room)

        ends = np.unique(np.concatenate([[0.0], size.ravel(), (size - room).ravel().clip(0)]))
        sums = np.array([moved(t).sum() for t in ends])  # falling
        t = 0.0 if sums[0] <= eta else np.interp(eta, sums[::-1], ends[::-1])
        result[i] = center + np.sign(delta) * moved(t)
    return result


@pytest.mark.parametrize("box", [(-1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("spread", [0.01, 0.5, 30.0])
@pytest.mark.parametrize("norm", NORMS)
def test_project_is_numpys(norm, spread, box, rng, monkeypatch):
    monkeypatch.setattr(room, "ROUNDS", 40)  # of 40 pixels: exact
    threat = ThreatModel(eta=0.3, norm=norm, box=box)
    x = images(rng, low=box[0], high=box[1])
    z = (x + rng.normal(0, spread, x.shape)).astype(np.float32)
    # z - x is rounded at z's own size before it is scaled, or lowered, back into the ball; the
    # threshold of l1 lies between 0 and the largest of 40 such numbers, and is found to 2^-24.
    atol = ROUNDING if norm == "linf" else ROUNDING * max(1.0, 0.3 * spread)
    atol = ROUNDING * max(1.0, 4 * spread) if norm == "l1" else atol
    expected = projection(z, x, 0.3, norm, box)
    np.testing.assert_allclose(project(threat, z, x), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("norm", NORMS)
def test_project_leaves_feasible_points(norm, rng):
    threat = ThreatModel(eta=0.3, norm=norm)
    x = images(rng, low=-0.6, high=0.6)
    z = x + 0.29 * threat.steepest_step(tf.constant(rng.normal(size=x.shape), tf.float32))
    z = z.numpy()
    np.testing.assert_allclose(project(threat, z, x), z, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("norm", NORMS)
def test_project_gives_the_nearest_feasible_point(norm, rng):
    threat, count = ThreatModel(eta=0.4, norm=norm), 500
    for center in images(rng, 20, (6,)).astype(np.float64):
        z = center + rng.normal(0, 0.6, 6)
        if norm == "linf":
            feasible = center + rng.uniform(-0.4, 0.4, (count, 6))
        elif norm == "l1":
            share = rng.dirichlet(np.ones(7), count)[:, :6] * rng.choice([-1, 1], (count, 6))
            feasible = center + 0.4 * share
        else:
            direction = rng.normal(size=(count, 6))
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            feasible = center + 0.4 * rng.uniform(size=(count, 1)) ** (1 / 6) * direction
        feasible = feasible[(np.abs(feasible) <= 1).all(1)]
        assert len(feasible) > 10
        nearest = project(threat, z[None].astype("f"), center[None].astype("f"))[0]
        distances = np.linalg.norm(feasible - z, axis=1)
        assert np.linalg.norm(nearest - z) <= distances.min() + ROUNDING * 6


def test_an_l2_step_spends_the_whole_ball_beside_a_dark_background(rng):
    threat = ThreatModel(eta=2.0, norm="l2")
    x = images(rng, 50, (28, 28, 1))
    x = np.where(rng.uniform(size=x.shape) < 0.8, -1.0, x).astype(np.float32)
    z = (x + rng.normal(size=x.shape)).astype(np.float32)
    clipped = np.clip(x + 2.0 * (z - x) / threat.size(z - x)[:, None, None, None], -1, 1)
    assert threat.size(clipped - x).max() < 1.7
    spent = threat.size(project(threat, z, x) - x)
    # Two rounds leave a share of the ball that float32 hardly sees.
    assert spent.min() > 2.0 * (1 - 1e-5) and not threat.violations(project(threat, z, x), x).any()


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
@pytest.mark.parametrize("norm", NORMS)
def test_steepest_step_attains_the_dual_norm(norm, scale, rng):
    threat = ThreatModel(eta=0.1, norm=norm)
    gradient = (rng.normal(size=(50, 4, 4, 1)) * scale).astype(np.float32)
    flat = gradient.reshape(50, -1).astype(np.float64)
    step = threat.steepest_step(tf.constant(gradient)).numpy().reshape(50, -1)
    np.testing.assert_array_less(threat.size(step), 1 + ROUNDING)
    dual = np.linalg.norm(flat, {"linf": 1, "l2": 2, "l1": np.inf}[norm], axis=1)
    # 16 terms, each with a few relative roundings of 2^-24.
    np.testing.assert_allclose((flat * step).sum(1), dual, rtol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_steepest_step_of_zero_is_zero(norm):
    gradient = np.zeros((2, 3, 3, 1), np.float32)
    gradient[1, 0, 0, 0] = 2.0
    step = ThreatModel(eta=0.1, norm=norm).steepest_step(tf.constant(gradient)).numpy()
    np.testing.assert_array_equal(step, gradient / 2)


@pytest.mark.parametrize("norm", NORMS)
def test_random_start_keeps_ball_and_box(norm, rng, excess):
    threat = ThreatModel(eta=0.7, norm=norm)
    x = images(rng)
    z = threat.random_start(x, tf.constant([3, 4]))
    assert excess(z, x, threat).max() <= ROUNDING
    if norm != "l1":  # whose points are small in every pixel
        assert np.abs(z).max() == 1.0  # the box did bind
    np.testing.assert_array_equal(z, threat.random_start(x, tf.constant([3, 4])))
    assert np.abs(z - threat.random_start(x, tf.constant([3, 5]))).max() > 0.01


@pytest.mark.parametrize("norm", NORMS)
def test_random_start_is_uniform_in_the_ball(norm):
    count, shape = 4000, (2, 3, 1)
    threat = ThreatModel(eta=0.5, norm=norm)
    delta = threat.random_start(tf.zeros([count, *shape]), tf.constant([1, 2])).numpy()
    # P(size <= r) = (r / eta)^d, so its d-th power is uniform on [0, 1]: mean 1/2, variance 1/12.
    uniform = (threat.size(delta) / 0.5) ** 6
    assert abs(uniform.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / count)
    # Its square has mean 1/3 and variance 1/5 - 1/9.
    assert abs((uniform**2).mean() - 1 / 3) < 4 * np.sqrt(4 / 45 / count)
    # No direction is preferred: per coordinate mean 0; E x^2 = eta^2 / (d + 2), in l1
    # 2 eta^2 / ((d + 1) (d + 2)), or eta^2 / 3 for a cube.
    deviation = 0.5 / np.sqrt({"linf": 3, "l2": 8, "l1": 28}[norm])
    flat = delta.reshape(count, -1)
    assert np.abs(flat.mean(0)).max() < 4.5 * deviation / np.sqrt(count)
    np.testing.assert_allclose(flat.std(0), deviation, rtol=5 / np.sqrt(count))


@pytest.mark.parametrize("norm", NORMS)
def test_violations_flags_what_leaves(norm):
    threat = ThreatModel(eta=0.3, norm=norm)
    x = np.zeros((6, 2, 2, 1), np.float32)
    x[3:5] = 0.9
    z = x.copy()
    z[0, 0, 0, 0] = 0.3  # on the ball
    z[1, 0, 0, 0] = -0.3 - 1e-4
    z[2, 1, 1, 0] = np.nan
    z[3, 1, 0, 0] = 1.0  # on the box
    z[4, 1, 0, 0] = 1.0 + 1e-6
    z[5, 0, 1, 0] = -np.inf
    assert threat.violations(z, x).tolist() == [False, True, True, False, True, True]


def test_l2_violations_sees_the_length_of_the_whole_image():
    threat = ThreatModel(eta=0.3, norm="l2")
    x = np.zeros((2, 10, 10, 1), np.float32)
    z = np.stack([x[0] + 0.03, x[1] + 0.03 + 1e-5])  # lengths 0.3 and 0.3001
    assert threat.violations(z, x).tolist() == [False, True]


@pytest.mark.parametrize("eta", [0.001, 0.01, 0.3, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
@pytest.mark.parametrize("norm", NORMS)
def test_violations_accepts_what_project_gives(norm, shape, eta, rng):
    threat = ThreatModel(eta=eta, norm=norm)
    x = images(rng, 100, shape)
    z = (x + rng.normal(0, 1, x.shape)).astype(np.float32)
    assert not threat.violations(project(threat, z, x), x).any()


def test_size_is_numpys_in_float64(rng):
    delta = images(rng, 7)
    flat = delta.reshape(7, -1).astype(np.float64)
    for norm, order in ORDERS.items():
        size = ThreatModel(eta=1.0, norm=norm).size(delta)
        assert size.dtype == np.float64
        # 40 float64 squares and their sum.
        np.testing.assert_allclose(size, np.linalg.norm(flat, order, axis=1), rtol=1e-14)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"eta": 0.0}, "eta > 0"),
        ({"eta": -0.1}, "eta > 0"),
        ({"eta": float("nan")}, "eta > 0"),
        ({"eta": float("inf")}, "eta > 0"),
        ({"eta": 0.3, "norm": "l0"}, "linf, l2, l1"),
        ({"eta": 0.3, "box": (1.0, -1.0)}, "low < high"),
    ],
)
def test_impossible_threats_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ThreatModel(**settings)


@pytest.mark.parametrize("low, high", [(-0.1307 / 0.3081, 0.8693 / 0.3081), (-0.1, 0.1)])
def test_a_clip_to_a_box_that_float32_rounds_is_no_violation(low, high):
    threat = ThreatModel(eta=0.1, box=(low, high))
    x = threat.clip_box(tf.constant([[-9.0, 9.0], [0.0, 9.0]]))
    assert not threat.violations(x, x).any()
    assert threat.violations(np.nextafter(x, [[-9.0, 9.0]] * 2), x).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("box, width", [((-1.0, 1.0), 2), ((0.0, 1.0), 1), ((0.0, 255.0), 255)])
def test_epsilon_is_the_radius_for_pixels_in_0_1(norm, box, width):
    threat = ThreatModel.from_epsilon(8 / 255, norm=norm, box=box)
    assert threat == ThreatModel(eta=width * 8 / 255, norm=norm, box=box)
    assert threat.epsilon == pytest.approx(8 / 255, rel=1e-15)
    assert "eps 0.0313725 on [0, 1]" in threat.describe()
    assert ("8/255" in threat.describe()) is (norm == "linf")


def test_epsilon_is_the_same_distance_on_both_scales(rng):
    """x on [0, 1] and 2 x - 1: the same images, the same ball."""
    x = rng.uniform(0.2, 0.8, (5, 3, 3, 1))
    for norm, order in ORDERS.items():
        delta = rng.normal(size=x.shape)
        lengths = np.linalg.norm(delta.reshape(5, -1), order, axis=1)
        z = x + 0.1 * delta / lengths[:, None, None, None]
        threat = ThreatModel.from_epsilon(0.1, norm=norm)
        # Twice the rounding of differences of numbers below 1.
        np.testing.assert_allclose(threat.size(2 * z - 2 * x), threat.eta, rtol=0, atol=1e-14)


@pytest.mark.parametrize("epsilon", [0.0, -0.1, float("nan"), float("inf")])
def test_an_impossible_epsilon_is_refused(epsilon):
    with pytest.raises(ConfigError, match="epsilon > 0 and finite"):
        ThreatModel.from_epsilon(epsilon)


def test_images_clipped_to_a_box_that_float32_rounds_are_in_it():
    threat = ThreatModel(eta=0.1, box=(-0.1, 0.1))
    x = threat.clip_box(tf.constant([[-9.0, 9.0], [0.0, 9.0]])).numpy()
    threat.require_in_box(x)
    assert as_ball(threat).contains(x, x).all()
    as_ball(threat).region(x)
    assert as_kept(x, (-0.1, 0.1), "it").max() == 1.0
    examples.require_images(x, (-0.1, 0.1))
    with pytest.raises(ConfigError, match="in the box"):
        threat.require_in_box(1.01 * x)
