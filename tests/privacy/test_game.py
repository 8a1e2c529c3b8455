"""The privacy game against closed forms and finite differences."""

import math

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from scipy.stats import norm

from mmtf.errors import ConfigError, RunError
from mmtf.privacy import PrivacyGame, linear, measure
from mmtf.privacy.game import standardize
from tests.privacy.gaussians import gaussians

A, B = 1.5, 2.0


def direction(game) -> np.ndarray:
    """The unit vector of a linear filter with one output."""
    w = game.filter.get_layer("directions").get_weights()[0][:, 0]
    return w / np.linalg.norm(w)


def angle_to(game, axis) -> float:
    """Angle between the filter's direction and an axis, in degrees, 0 to 90."""
    cosine = abs(direction(game) @ np.asarray(axis)) / np.linalg.norm(axis)
    return math.degrees(math.acos(min(1.0, cosine)))


def played(data, rho, steps=300, **options) -> PrivacyGame:
    # Linear in z, as the Bayes classifiers of these examples are.
    game = PrivacyGame(data, linear(data, 1), rho=rho, adversary="softmax", **options)
    game.solved = game.play(steps=steps)
    return game


@pytest.fixture(scope="module")
def orthogonal():
    return gaussians((A, 0.0), (0.0, B))


@pytest.mark.parametrize("rho", [0.3, 3.0])
def test_orthogonal_means_the_filter_is_the_target_axis(orthogonal, rho):
    game = played(orthogonal, rho)
    # The start is the first principal component, the private axis (B > A).
    assert angle_to(game, (1, 0)) < 4
    cell = measure(game.solved.filter, orthogonal, attackers=["softmax"])
    deviation = math.sqrt(0.25 / cell.n)
    assert abs(cell.target - norm.cdf(A)) < 4 * deviation
    assert cell.leak < 0.5 + 4 * deviation


def test_oblique_means_the_angle_falls_with_rho():
    private = np.array([1.0, 1.0])
    data = gaussians((A, 0.0), tuple(private))
    complement = (1.0, -1.0)
    angles = [angle_to(played(data, rho), complement) for rho in (0.05, 1.0, 20.0)]
    assert angles[0] < 5
    assert angles[0] < angles[1] < angles[2]


def test_large_rho_is_plain_training(orthogonal):
    game = played(gaussians((A, 0.0), (1.0, 1.0)), 1e4)
    # Covariance within the target's classes: I + b b'; Fisher's direction is its inverse times a.
    b = np.array([1.0, 1.0])
    fisher = np.linalg.solve(np.eye(2) + np.outer(b, b), [A, 0.0])
    assert angle_to(game, fisher) < 5


def test_gradient_is_that_of_the_maximum():
    """Danskin: at the adversary's maximizer the partial gradient is that of max_v F."""
    data = gaussians((A, 0.0), (1.0, 1.0))
    keras.utils.set_random_seed(0)
    game = PrivacyGame(data, linear(data, 1), rho=1.0, l2_heads=1e-2, adversary="softmax")
    x = tf.constant(data.x_train[:400])
    labels = (data.target_train[:400], data.private_train[:400])
    f = game.objective(x, *labels)
    shapes = [tuple(v.shape) for v in game.follower]
    leader = [tf.convert_to_tensor(v) for v in game.leader]

    def unpack(flat):
        sizes = [int(np.prod(shape)) for shape in shapes]
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return [tf.constant(p.reshape(s), tf.float32) for p, s in zip(parts, shapes, strict=True)]

    def negative(flat, leader):
        with tf.GradientTape() as tape:
            v = unpack(flat)
            tape.watch(v)
            value = -f(leader, v)
        gradient = np.concatenate([g.numpy().ravel() for g in tape.gradient(value, v)])
        return float(value), gradient.astype(np.float64)

    def best(leader):
        start = np.zeros(sum(int(np.prod(shape)) for shape in shapes))
        return scipy.optimize.minimize(negative, start, args=(leader,), jac=True, tol=1e-7)

    found = best(leader)
    with tf.GradientTape() as tape:
        tape.watch(leader)
        value = f(leader, unpack(found.x))
    gradient = tape.gradient(value, leader)[0].numpy()
    step = 0.05
    for i in range(2):
        ends = []
        for sign in (1, -1):
            moved = leader[0].numpy()
            moved[i, 0] += sign * step
            ends.append(-best([tf.constant(moved), *leader[1:]]).fun)
        # float32 values have about 1e-6 of error, so that the quotient has 2e-5; curvature adds
        # order step^2.
        assert abs((ends[0] - ends[1]) / (2 * step) - gradient[i, 0]) < 5e-3


def test_standardized_outputs_cannot_hide_by_shrinking():
    z = tf.constant(np.random.default_rng(0).normal(size=(50, 3)), tf.float32)
    np.testing.assert_allclose(standardize(z), standardize(1e-2 * z), atol=2e-4)


@pytest.mark.parametrize("solver", ["alternating", "k_beam", "sensitivity", "unrolled"])
@pytest.mark.parametrize("order", ["minimax", "maximin"])
def test_every_solver_plays_both_orders(orthogonal, solver, order):
    game = PrivacyGame(orthogonal, linear(orthogonal, 1), order=order)
    solved = game.play(steps=4, log_every=2, solver=solver, batch_size=100)
    assert [point["step"] for point in solved.history] == [2, 4]
    assert all(np.isfinite(point["value"]) for point in solved.history)
    moved = np.abs(direction(game) - direction(PrivacyGame(orthogonal, linear(orthogonal, 1))))
    assert moved.max() > 0


def test_a_stopped_game_resumes_with_the_same_result(orthogonal, tmp_path):
    def play(folder, *parts):
        for steps in parts:
            game = PrivacyGame(orthogonal, linear(orthogonal, 1))
            solved = game.play(steps=steps, log_every=3, folder=folder, batch_size=64)
        return solved.history, [np.array(v) for v in (*game.leader, *game.follower)]

    history, whole = play(str(tmp_path / "whole"), 9)
    again, resumed = play(str(tmp_path / "parts"), 3, 9)
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [point["step"] for point in history] == [3, 6, 9]
    assert again == history == play(str(tmp_path / "whole"), 9)[0]
    (tmp_path / "parts" / "history.json").write_text("[{")
    assert play(str(tmp_path / "parts"), 9, 12)[0][0]["step"] == 12


def test_checkpoints_none_of_which_can_be_read_are_told_in_one_line(orthogonal, tmp_path):
    PrivacyGame(orthogonal, linear(orthogonal, 1)).play(steps=1, folder=str(tmp_path))
    for path in tmp_path.glob("ckpt-1.*"):
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(RunError, match="None of the checkpoints in .* can be read. Delete"):
        PrivacyGame(orthogonal, linear(orthogonal, 1)).play(steps=2, folder=str(tmp_path))


def test_a_damaged_newest_checkpoint_costs_the_steps_since_the_one_before(
    orthogonal, tmp_path, capsys
):
    def play(folder):
        game = PrivacyGame(orthogonal, linear(orthogonal, 1))
        game.play(steps=4, log_every=2, folder=str(folder))
        return [np.array(v) for v in (*game.leader, *game.follower)]

    whole = play(tmp_path)
    (tmp_path / "ckpt-4.index").write_bytes(b"")
    for a, b in zip(whole, play(tmp_path), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "ckpt-4 cannot be read" in capsys.readouterr().err


def test_checkpoints_of_another_program_or_game_are_refused_and_kept(orthogonal, tmp_path):
    theirs = tf.train.Checkpoint(weight=tf.Variable(1.0))
    manager = tf.train.CheckpointManager(theirs, tmp_path / "theirs", 5, checkpoint_name="model")
    manager.save()
    with pytest.raises(ConfigError, match="with model-1. Give another folder"):
        PrivacyGame(orthogonal, linear(orthogonal, 1)).play(
            steps=1, folder=str(tmp_path / "theirs")
        )
    assert manager.latest_checkpoint == tf.train.latest_checkpoint(tmp_path / "theirs")
    other = PrivacyGame(orthogonal, linear(orthogonal, 1), adversary="softmax")
    other.play(steps=1, folder=str(tmp_path / "other"))
    with pytest.raises(RunError, match="None of the checkpoints"):
        PrivacyGame(orthogonal, linear(orthogonal, 1)).play(steps=2, folder=str(tmp_path / "other"))


@pytest.mark.parametrize(
    "options",
    [
        {"rho": True},
        {"seed": 1.5},
        {"rho": 0},
        {"rho": math.nan},
        {"l2": -1},
        {"l2_heads": 0},
        {"order": "both"},
    ],
)
def test_impossible_arguments(orthogonal, options):
    with pytest.raises(ConfigError, match="Expected"):
        PrivacyGame(orthogonal, linear(orthogonal, 1), **options)
