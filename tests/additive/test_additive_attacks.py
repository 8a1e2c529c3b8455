"""Attacks, utilities and the exported defense on linear classifiers, known in closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.additive.attacks import Attacker
from mmtf.additive.defenses import DEFENSES, Defense, Shifted, draw_defense
from mmtf.additive.game import AdditiveGame
from mmtf.additive.layers import AddDrawnVector, defended
from mmtf.additive.linearized import difference
from mmtf.additive.utility import between_boundaries, linearity, true_right, utilities
from mmtf.errors import ConfigError
from tests.additive.linear import images, linear

ETA = 0.5


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    x = images(rng.uniform(-0.4, 0.4, size=(40, 2)))
    return x, (x[:, 0, 0, 0] + 0.3 * rng.normal(size=40) > 0).astype(int)


@pytest.fixture(scope="module")
def game():
    return AdditiveGame(linear([3.0, 4.0]), ETA, ETA)


@pytest.fixture(scope="module")
def solved(game, points):
    return game.solve(*points)


def none(shape=(1, 2, 1)) -> Defense:
    return Defense("none", np.zeros((1, *shape), np.float32), np.zeros(shape, np.float32))


def test_fgm_is_the_exact_attack_of_a_linear_classifier_and_pgd_nears_it(game, points):
    """Steps of the margin's gradient turn a start toward -w: tan(angle / 2) falls by exp(-2.5)."""
    x, y = points
    seen = game.linearize(x, y)
    attacker = Attacker(game.classifier, x, seen, ETA, steps=20)
    found = attacker.perturbation("fgm", none(), box=False)
    exact = seen.signs[:, None] * [-0.3, -0.4]
    np.testing.assert_allclose(found.reshape(-1, 2), exact, rtol=1e-5)
    found = attacker.perturbation("pgd", none(), box=False)
    cosine = -(found * seen.directions).sum((1, 2, 3)) / ETA
    assert cosine.max() <= 1 + 1e-5
    # cos >= .9 takes a start within 141 degrees of -w, as 78 % of the circle are: at least 31 of 40
    # are expected, and 4 deviations of 2.6 below that is 20.
    assert (cosine >= 0.9).sum() >= 20
    assert attacker.perturbation("pgd_adapted", none(), box=False) is found


def test_the_box_holds_with_it_and_not_without(game, points):
    x, y = points
    x = np.clip(x * 2.4, -1, 1)
    seen = game.linearize(x, y)
    attacker = Attacker(game.classifier, x, seen, ETA, steps=5)
    for attack in ("fgm", "pgd"):
        boxed = x + attacker.perturbation(attack, none(), box=True)
        free = x + attacker.perturbation(attack, none(), box=False)
        assert np.abs(boxed).max() <= 1 + 1e-6
        assert np.abs(free).max() > 1.01


def test_autoattack_needs_the_box(game, points):
    attacker = Attacker(game.classifier, points[0], game.linearize(*points), ETA)
    with pytest.raises(ConfigError, match="autoattack with the box"):
        attacker.perturbation("autoattack", none(), box=False)
    with pytest.raises(ConfigError, match="attacks to be one of"):
        attacker.perturbation("cw", none(), box=True)


def test_utilities_of_a_linear_classifier_are_equal(game, points, solved):
    x, y = points
    seen = game.linearize(x, y)
    v_a = -ETA * seen.directions
    added = np.broadcast_to(solved.vector, x.shape)
    found = utilities(game.classifier, x, seen, v_a, added)
    assert found["true"] == found["approximate"]
    assert found["true"]["n"] == 40
    # phi counts s + <w, v> > eta, the utility s + <w, v_a + v_d> > 0: the same up to rounding.
    assert 1 - found["true"]["error"] == pytest.approx(solved.objective, abs=1 / 40)
    share = (y == 0).mean()
    mean = share * found["class_errors"][0] + (1 - share) * found["class_errors"][1]
    assert mean == pytest.approx(found["true"]["error"])


def test_a_linear_classifier_is_linear(game, points):
    x, y = points
    seen = game.linearize(x, y)
    for row in linearity(game.classifier, x, seen, -ETA * seen.directions):
        assert row["disagreement"] == 0
        assert max(row["gap"]) < 1e-5


def test_a_curved_classifier_is_linear_close_by_only():
    """g = x1 - x1^3: at x1 = .5 the linearization .375 + .25 (x1 - .5) misses the sign at 1.2."""

    def cubic(x, training=False):
        flat = tf.reshape(x, [-1, 2])
        g = flat[:, 0] - flat[:, 0] ** 3
        return tf.stack([tf.zeros_like(g), g], 1)

    game = AdditiveGame(cubic, 1.0, 1.0)
    x = images([[0.5, 0.0]])
    seen = game.linearize(x, [1])
    rows = linearity(game.classifier, x, seen, images([[0.7, 0.0]]))
    assert [row["disagreement"] for row in rows] == [0, 0, 0, 1]
    for row in rows:
        t = 0.7 * row["scale"]
        gap = abs((0.5 + t) - (0.5 + t) ** 3 - 0.375 - 0.25 * t) / 0.25
        assert row["gap"][0] == pytest.approx(gap, rel=1e-4)


def test_points_between_two_boundaries_are_broken_both_ways():
    """g = 1/4 - x1^2 is right for |x1| < .5: with eta .8 the point .1 is broken by either step."""

    def band(x, training=False):
        flat = tf.reshape(x, [-1, 2])
        g = 0.25 - flat[:, 0] ** 2
        return tf.stack([tf.zeros_like(g), g], 1)

    game = AdditiveGame(band, 0.8, 1.0)
    x = images([[0.1, 0.0], [0.4, 0.0]])
    found = between_boundaries(game.classifier, x, game.linearize(x, [1, 1]), 0.8)
    # From .4, +eta w leads to -.4, which is right.
    assert found["error"] == 0.5
    assert found["also_by_fgm"] == 0.5


@pytest.mark.parametrize("name", DEFENSES)
def test_defenses_keep_their_lengths(solved, name):
    drawn = draw_defense(name, solved, n=30, seed=0)
    lengths = np.linalg.norm(drawn.vectors.reshape(len(drawn.vectors), -1), axis=1)
    assert drawn.added(7).shape == (7, 1, 2, 1)
    if name == "none":
        assert not lengths.any()
    elif name == "random":
        np.testing.assert_allclose(lengths, ETA, rtol=1e-5)
    elif name == "gaussian":
        # E ||v||^2 = eta^2; of 30 draws in 2 dimensions its deviation is eta^2 / sqrt(30).
        assert abs((lengths**2).mean() - ETA**2) < 4 * ETA**2 / np.sqrt(30)
    else:
        assert lengths.max() <= ETA * (1 + 1e-6)


def test_the_adapted_attack_sees_the_mean_probability():
    classifier = linear([1.0, 0.0])
    vectors = images([[1.0, 0.0], [-1.0, 0.0]])
    x = images([[0.5, 0.0], [2.0, 0.0]])
    seen = tf.nn.softmax(Shifted(classifier, vectors, "two")(tf.constant(x)))
    g = np.array([[1.5, -0.5], [3.0, 1.0]])
    np.testing.assert_allclose(seen[:, 1], (1 / (1 + np.exp(-g))).mean(1), rtol=1e-5)
    drawn = Shifted(classifier, vectors, "two").draws()
    assert [weight for weight, _ in drawn] == [0.5, 0.5]
    logits = [function(tf.constant(x)).numpy()[:, 1] for _, function in drawn]
    np.testing.assert_allclose(np.stack(logits, 1), g, rtol=1e-5)
    one = Shifted(classifier, vectors[:1], "one")
    np.testing.assert_allclose(difference(one, x), [1.5, 3.0], rtol=1e-5)


def test_the_exported_model_adds_a_drawn_vector(tmp_path):
    model = keras.Sequential(
        [keras.Input((1, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    vectors = images([[0.3, 0.0], [0.0, -0.4]])
    whole = defended(model, vectors)
    x = np.zeros((64, 1, 2, 1), np.float32)
    answers = model(vectors).numpy()

    def drawn(logits):
        """Which of the two vectors each row of logits comes from."""
        gaps = np.abs(logits[:, None] - answers[None]).max(-1)
        np.testing.assert_allclose(gaps.min(1), 0, atol=1e-6)
        return gaps.argmin(1)

    # 64 draws of two: all equal with a chance of 2^-63.
    assert set(drawn(whole(x).numpy())) == {0, 1}
    mmtf.save_keras(whole, tmp_path / "defended.keras")
    again = keras.models.load_model(tmp_path / "defended.keras")
    assert isinstance(again.get_layer("add_drawn_vector"), AddDrawnVector)
    assert set(drawn(again(x).numpy())) == {0, 1}
    mmtf.save_serving(
        whole, lambda x: tf.cast(x, tf.float32) / 127.5 - 1, (1, 2, 1), tmp_path / "s"
    )
    served = tf.saved_model.load(str(tmp_path / "s")).signatures["logits"]
    first, second = (drawn(served(images=tf.constant(x))["logits"].numpy()) for _ in range(2))
    assert (first != second).any()
    assert not whole.trainable_variables or len(whole.trainable_variables) == 2
    with pytest.raises(ConfigError, match="vectors"):
        defended(model, np.zeros((1, 3, 1, 1)))


def test_true_utility_of_a_tie_is_wrong():
    x = images([[0.0, 0.0]])
    assert not true_right(linear([1.0, 0.0]), x, np.array([1.0]), np.zeros_like(x))[0]
