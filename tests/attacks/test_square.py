"""Square: its schedule, its squares, and what it finds without a gradient."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.square import Square, State, _bump
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel


def test_the_share_is_halved_as_in_the_paper():
    attack = Square(ThreatModel(eta=0.1), steps=10_000, p=0.8)
    shares = [attack.share(step) for step in (1, 11, 12, 51, 52, 202, 502, 1002, 2002, 4002, 8002)]
    halvings = [0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 9]
    assert shares == [0.8 / 2**number for number in halvings]
    # Fewer queries run through the same shares.
    assert Square(ThreatModel(eta=0.1), steps=1000).share(3) == 0.8 / 2


def test_the_side_of_the_square():
    attack = Square(ThreatModel(eta=0.1), steps=10_000, p=0.8)
    assert attack.side(1, (28, 28, 1)) == 25  # sqrt(0.8 * 784) = 25.04
    assert attack.side(9000, (28, 28, 1)) == 1
    l2 = Square(ThreatModel(eta=0.1, norm="l2"), steps=10_000, p=0.8)
    assert l2.side(9000, (28, 28, 1)) == 3 and l2.side(1, (28, 28, 3)) == 25


def test_linf_candidates_differ_in_one_square_and_sit_on_the_balls_edge():
    threat = ThreatModel(eta=0.1)
    attack = Square(threat, steps=1, p=0.3)
    x, y = tf.zeros([1, 8, 8, 2]), tf.zeros(1, tf.int32)
    start = attack.start(x, tf.constant([3, 4]))
    np.testing.assert_allclose(np.abs(start), 0.1, rtol=1e-6)
    np.testing.assert_array_equal(start, tf.repeat(start[:, :1], 8, 1))  # columns

    def rising(z, training):
        """The wrong class gains by any change from the start."""
        changed = tf.reduce_sum(tf.abs(z - start), [1, 2, 3]) - 100.0
        return tf.stack([tf.zeros_like(changed), changed, changed - 1.0], 1)

    side = attack.side(1, (8, 8, 2))
    for seed in range(8):
        own = tf.constant([seed, 1])
        state = State(x, y, start, tf.constant([-100.0]))
        state, found = attack.step(rising, state, (own, tf.constant(side), tf.zeros([8, 8])))
        z = state.z
        assert found.images is z and not found.success.numpy().any()
        changed = np.abs(z - start)[0].max(-1) > 1e-3
        rows, columns = np.where(changed)
        if len(rows):
            assert rows.max() - rows.min() < side and columns.max() - columns.min() < side
        np.testing.assert_allclose(np.abs(z), 0.1, rtol=1e-5)


def test_bumps_have_length_one_and_two_signs():
    for side in (3, 5, 9, 28):
        bump = _bump(side)
        assert np.linalg.norm(bump) == pytest.approx(1, abs=1e-6)
        assert (bump[: side // 2] > 0).all() and (bump[side // 2 :] < 0).all()


def test_the_l2_start_is_tiled_by_bumps_of_either_sign_and_orientation():
    attack = Square(ThreatModel(eta=0.5, norm="l2"))
    start = attack.start(tf.zeros([2, 28, 28, 1]), tf.constant([3, 4])).numpy()
    np.testing.assert_allclose(np.linalg.norm(start.reshape(2, -1), axis=1), 0.5, rtol=1e-5)
    # Five by five tiles of side 5, in the middle of 28 pixels.
    assert not start[:, :1].any() and not start[:, 26:].any() and not start[:, :, :1].any()
    kinds = set()
    for tile in (
        start[:, 1:26, 1:26, 0].reshape(2, 5, 5, 5, 5).transpose(0, 1, 3, 2, 4).reshape(50, 5, 5)
    ):
        tile = tile / np.linalg.norm(tile)
        shapes = {"up": _bump(5), "down": -_bump(5), "left": _bump(5).T, "right": -_bump(5).T}
        kinds |= {name for name, one in shapes.items() if np.allclose(tile, one, atol=1e-5)}
    assert kinds == {"up", "down", "left", "right"}


@pytest.mark.parametrize("norm, eta", [("linf", 0.25), ("l2", 0.9)])
def test_more_queries_find_more(norm, eta, smooth, rng):
    threat = ThreatModel(eta=eta, norm=norm)
    x = tf.constant(rng.uniform(-1, 1, (200, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    errors = []
    for steps in (1, 30, 300):
        z = Square(threat, steps=steps)(smooth, x, y)
        errors.append(np.mean(np.argmax(smooth(z, training=False), 1) != y))
    assert errors[0] < errors[1] <= errors[2] and errors[2] > 0.3


def test_a_linear_model_is_solved(linear):
    """linf: the margin of a linear model is raised by every square of the right sign."""
    weights = np.zeros((16, 2), np.float32)
    weights[:, 1] = 1.0
    classifier = linear(weights, [0.0, -1.5])
    x, y = tf.zeros([3, 4, 4, 1]), tf.zeros(3, tf.int32)
    z = Square(ThreatModel(eta=0.1), steps=200)(classifier, x, y)
    # 16 pixels of 0.1 give 1.6 > 1.5, all but one in 32 of them must have been found.
    assert (np.argmax(classifier(z, training=False), 1) == 1).all()


def test_queries_that_change_nothing_are_left_out(smooth, rng, monkeypatch):
    """A square of one pixel has the sign of its pixel in half of all queries."""
    count, queries = 64, 60
    x = tf.constant(rng.uniform(-1, 1, (count, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    attack = Square(ThreatModel(eta=0.02), steps=queries, p=1 / 16)
    assert attack.side(1, (4, 4, 1)) == 1

    def images_and_queries():
        asked = []

        def counting(z, training):
            def count(images):
                asked.append(len(images))
                return images

            images = tf.ensure_shape(tf.numpy_function(count, [z], tf.float32), z.shape)
            return smooth(images, training=training)

        z = attack(counting, x, y, seed=(0, 1)).numpy()
        return z, sum(asked[2:])  # after the clean images and the starting points

    lean, few = images_and_queries()
    monkeypatch.setattr(Square, "lean_step", Square.step)
    plain, many = images_and_queries()
    np.testing.assert_array_equal(lean, plain)
    assert many > 0.5 * count * queries
    assert 0.4 * many < few < 0.75 * many  # rounded up to multiples of 8


@pytest.mark.parametrize("options", [{"steps": 0}, {"p": 0.0}, {"p": 1.1}])
def test_impossible_settings_are_refused(options):
    with pytest.raises(ConfigError):
        Square(ThreatModel(eta=0.1), **options)
