"""CURE, LLR and input-gradient regularization on a quadratic loss, whose terms are known."""

import numpy as np
import peer_setting
import pytest
from peer_setting import THREAT

from mmtf import games
from mmtf.games.players import Batch


def test_the_loss_is_the_quadratic():
    players, matrix, (x, y) = peer_setting.quadratic()
    game, context = games.Undefended(THREAT), peer_setting.context_of(5)
    risk, _ = game.objective(players, Batch(x, y), Batch(x, y), context)
    rows = peer_setting.flat(x)
    expected = np.einsum("ni,ij,nj->n", rows, matrix, rows).mean() / 2 + 1
    assert float(risk) == pytest.approx(expected, rel=1e-5)


def test_the_curvature_of_a_quadratic():
    players, matrix, examples = peer_setting.quadratic()
    game = games.CURE(THREAT, gamma=3.0, length=0.7)
    loss, metrics = game.objective(players, examples, examples, peer_setting.context_of(5))
    signs = np.sign(peer_setting.flat(examples.x) @ matrix)
    directions = 0.7 * signs / np.linalg.norm(signs, axis=-1, keepdims=True)
    expected = np.linalg.norm(directions @ matrix, axis=-1).mean()  # grad l = Ax
    assert float(metrics["curvature"]) == pytest.approx(expected, rel=1e-4)
    assert float(loss) == pytest.approx(float(metrics["risk"]) + 3.0 * expected, rel=1e-4)


def test_a_linear_model_has_no_curvature_and_a_finite_gradient():
    game, net = games.CURE(THREAT), peer_setting.linear_net()
    net.set_weights([np.zeros_like(one) for one in net.get_weights()])
    game.step(peer_setting.players_of(game, net), peer_setting.batch(), peer_setting.context_of(6))
    assert all(np.isfinite(one).all() for one in net.get_weights())


def test_the_penalty_on_the_input_gradient():
    players, matrix, examples = peer_setting.quadratic()
    game = games.InputGradient(THREAT, gamma=3.0)
    loss, metrics = game.objective(players, examples, examples, peer_setting.context_of(5))
    gradients = peer_setting.flat(examples.x) @ matrix
    expected = 1.5 * (gradients**2).sum(-1).mean()
    assert float(metrics["penalty"]) == pytest.approx(expected, rel=1e-4)
    assert float(loss) == pytest.approx(float(metrics["risk"]) + expected, rel=1e-4)


def test_the_terms_of_llr_on_a_quadratic():
    players, matrix, (x, y) = peer_setting.quadratic()
    game = games.LLR(THREAT, gamma=4.0, mu=3.0)
    z = THREAT.project(x + 0.1 * np.sign(np.arange(4) - 1.5).reshape(2, 2, 1), x)
    loss, metrics = game.objective(players, Batch(x, y), Batch(z, y), peer_setting.context_of(5))
    d, rows = peer_setting.flat(z - x), peer_setting.flat(x)
    bent = np.abs(np.einsum("ni,ij,nj->n", d, matrix, d) / 2).mean()
    slope = np.abs((d * (rows @ matrix)).sum(-1)).mean()
    # l(x + d) - l(x) - <d, g> is about 0.02 and a difference of numbers about 1, each within 1e-7.
    assert float(metrics["nonlinearity"]) == pytest.approx(bent, abs=1e-6)
    assert float(metrics["slope"]) == pytest.approx(slope, rel=1e-4)
    assert float(loss) == pytest.approx(float(metrics["risk"]) + 4 * bent + 3 * slope, rel=1e-4)


def test_llr_finds_the_corner_of_greatest_nonlinearity():
    """The maximum of |d'Ad| / 2 over a box is at a corner; ascent reaches most of the best."""
    players, matrix, examples = peer_setting.quadratic(20)
    z, _ = games.LLR(THREAT, max_steps=20).perturb(players, examples, peer_setting.context_of(20))
    assert not THREAT.violations(z, examples.x).any()
    corners = 0.2 * np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    best = np.einsum("ni,ij,nj->n", corners, matrix, corners).max() / 2
    d = peer_setting.flat(z - examples.x)
    found = np.einsum("ni,ij,nj->n", d, matrix, d) / 2
    assert found.max() == pytest.approx(best, rel=1e-4) and found.mean() > 0.7 * best


def test_llr_uses_the_radius_of_the_l1_ball():
    threat, examples, net = peer_setting.in_l1(peer_setting.Nearby)
    game = games.LLR(threat)
    players, context = peer_setting.players_of(game, net), peer_setting.context_of(6)
    z, _ = game.perturb(players, examples, context)
    assert threat.size(z - examples.x).min() > 9
    assert not threat.violations(z, examples.x).any()
