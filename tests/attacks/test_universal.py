"""A universal perturbation: exact on one linear boundary, fitted here, good elsewhere."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import UniversalPerturbation
from mmtf.attacks.universal import UniversalRecipe, universal_perturbation
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel

SHAPE = (4, 4, 1)
ETA = {"linf": 0.1, "l2": 0.4}
every_norm = pytest.mark.parametrize("norm", ["linf", "l2"])


@pytest.fixture
def halves(rng, linear):
    """Class 1 where w.x > 0; images of class 1 alone, all too far from the boundary to fall."""
    w = rng.normal(0, 1, 16)
    x = rng.uniform(-0.5, 0.5, (3000, *SHAPE)).astype(np.float32)
    reach = max(0.1 * np.abs(w).sum(), 0.4 * np.linalg.norm(w))
    return linear(np.stack([0 * w, w], 1)), x[x.reshape(-1, 16) @ w > reach + 0.1][:60], w


@every_norm
@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_one_linear_boundary_is_solved_exactly(norm, batch_size, halves):
    """v = -eta sign(w) in linf and -eta w / |w| in l2, though it fools nobody yet."""
    classifier, x, w = halves
    threat = ThreatModel(eta=ETA[norm], norm=norm)
    # A boundary moved so that the best v, and only it, fools the nearest image.
    direction = np.sign(w) if norm == "linf" else w / np.linalg.norm(w)
    gain = ETA[norm] * direction @ w
    classifier.bias = np.array([0.0, gain * 0.999 - (x.reshape(-1, 16) @ w).min()], np.float32)
    v, fooled = universal_perturbation(
        classifier, x, threat, UniversalRecipe(batch_size=batch_size, delta=0.0)
    )
    np.testing.assert_allclose(v.ravel(), -ETA[norm] * direction, rtol=0, atol=2e-3)
    assert 0 < fooled < 1 and threat.size(v[None])[0] <= ETA[norm] * (1 + 1e-6)


@every_norm
def test_found_on_some_images_it_fools_others(norm, smooth, rng):
    threat = ThreatModel(eta=3 * ETA[norm], norm=norm)
    x = rng.uniform(-1, 1, (300, *SHAPE)).astype(np.float32)
    v, fooled = universal_perturbation(smooth, x[:200], threat, UniversalRecipe(delta=0.1))
    clean = np.argmax(smooth(x, training=False), 1)
    attack = UniversalPerturbation(threat, v)
    z = attack(smooth, tf.constant(x), tf.constant(clean)).numpy()
    changed = np.argmax(smooth(z, training=False), 1) != clean
    assert changed[:200].mean() == pytest.approx(fooled, abs=0.01)
    signs = rng.choice([-1.0, 1.0], (200, 16)).astype(np.float32)
    noise = threat.eta * np.asarray(threat.steepest_step(tf.constant(signs))).reshape(200, *SHAPE)
    noisy = np.clip(x[:200] + noise, -1, 1)
    random = (np.argmax(smooth(noisy, training=False), 1) != clean[:200]).mean()
    assert changed[200:].mean() > 1.3 * random


@every_norm
def test_the_contract_of_an_attack(norm, smooth, rng, excess):
    threat = ThreatModel(eta=ETA[norm], norm=norm)
    x = tf.constant(np.clip(rng.uniform(-1.3, 1.3, (30, *SHAPE)), -1, 1), tf.float32)
    v, _ = universal_perturbation(smooth, x, threat, UniversalRecipe(passes=1))
    attack, y = UniversalPerturbation(threat, v), tf.zeros(30, tf.int32)
    z = attack(None, x, y)
    np.testing.assert_allclose(z, np.clip(x + v, -1, 1), rtol=0, atol=1e-6)
    np.testing.assert_allclose(tf.function(attack)(None, x, y), z, rtol=0, atol=1e-6)
    assert excess(z, x, threat).max() < 5e-7 and attack.deterministic


def test_the_seed_decides_the_order(smooth, rng):
    threat = ThreatModel(eta=0.2)
    x = rng.uniform(-1, 1, (60, *SHAPE)).astype(np.float32)
    recipe = UniversalRecipe(batch_size=5, passes=1)
    first, again, other = (
        universal_perturbation(smooth, x, threat, recipe, seed=seed)[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_it_ends_once_enough_are_fooled(smooth, rng):
    x = rng.uniform(-1, 1, (60, *SHAPE)).astype(np.float32)
    calls = []

    def counting(x, training):
        tf.py_function(lambda n: calls.append(int(n)), [tf.shape(x)[0]], [])
        return smooth(x, training=training)

    threat = ThreatModel(eta=2.0)
    for delta in (0.9, 0.0):
        calls.clear()
        recipe = UniversalRecipe(delta=delta, passes=6, images=40)
        _, fooled = universal_perturbation(counting, x, threat, recipe)
        assert max(calls) == 40  # the first images alone
        assert fooled >= 0.1
        if delta:
            few = len(calls)
    assert few < len(calls)


@pytest.mark.parametrize("at_once", [1, 7, 20])
def test_memory_is_bounded_by_the_images_at_once(at_once, smooth, rng):
    """The steps of a batch are summed in parts; the classifier never sees more images."""
    threat, most = ThreatModel(eta=0.3), []
    x = rng.uniform(-1, 1, (45, *SHAPE)).astype(np.float32)

    def counting(x, training):
        tf.py_function(lambda n: most.append(int(n)), [tf.shape(x)[0]], [])
        return smooth(x, training=training)

    recipe = UniversalRecipe(batch_size=20, passes=2, delta=0.0)
    v, fooled = universal_perturbation(counting, x, threat, recipe, at_once=at_once)
    assert max(most) == at_once
    whole, share = universal_perturbation(smooth, x, threat, recipe)
    # The same steps, summed in another order in float32.
    np.testing.assert_allclose(v, whole, rtol=0, atol=1e-4)
    assert fooled == share


@pytest.mark.parametrize(
    "options",
    [
        {"images": 0},
        {"delta": 1.0},
        {"passes": 0},
        {"batch_size": 0},
        {"steps": 0},
        {"candidates": 1},
    ],
)
def test_impossible_recipes_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        UniversalRecipe(**options)
