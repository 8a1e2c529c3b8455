"""MART's three terms by hand."""

import numpy as np
import peer_setting
import pytest
from peer_setting import THREAT

from mmtf import games
from mmtf.games.players import Batch


def test_the_terms_by_hand():
    game, net = games.Mart(THREAT, beta=3.0), peer_setting.linear_net()
    (x, y), players = peer_setting.batch(), peer_setting.players_of(game, net)
    z = THREAT.project(x + 0.15, x)
    loss, metrics = game.objective(players, Batch(x, y), Batch(z, y), peer_setting.context_of(6))
    kernel, bias = (one.astype(np.float64) for one in net.get_weights())
    p, q = (peer_setting.softmax(peer_setting.flat(one) @ kernel + bias) for one in (x, z))
    rows, y = np.arange(6), y.numpy()
    wrong = q.copy()
    wrong[rows, y] = 0.0
    risk = -np.log(q[rows, y]).mean()
    margin = -np.log(1.0001 - wrong.max(-1)).mean()
    divergence = ((p * np.log(p / q)).sum(-1) * (1.0 - p[rows, y])).mean()
    assert float(metrics["risk"]) == pytest.approx(risk, rel=1e-5)
    assert float(metrics["margin"]) == pytest.approx(margin, rel=1e-5)
    assert float(metrics["divergence"]) == pytest.approx(divergence, rel=1e-5)
    assert float(loss) == pytest.approx(risk + margin + 3.0 * divergence, rel=1e-5)


def test_a_sure_error_has_a_finite_loss():
    game, net = games.Mart(THREAT), peer_setting.linear_net(scale=300.0)
    (x, y), players = peer_setting.batch(), peer_setting.players_of(game, net)
    game.step(players, Batch(x, y), peer_setting.context_of(6))
    assert all(np.isfinite(one).all() for one in net.get_weights())
