"""Maximin-AttNet: the maximin game, in which the attack network is the leader."""

from collections.abc import Callable

import tensorflow as tf

from mmtf.games.network_game import NetworkGame
from mmtf.solvers.base import Solver


class MaximinAttNet(NetworkGame):
    """max_v min_u f(u, v), Eq. 17: Algorithm 1 with the players switched and f's sign flipped.

    v descends -f + (gamma / 2) ||df/du||^2, u descends f.
    """

    default_solver = "sensitivity"
    risk_sign = -1.0

    def order_players(self, defender: tuple, attacker: tuple) -> tuple[tuple, tuple]:
        return attacker, defender

    def solve(self, solver: Solver, risk_of: Callable[..., tf.Tensor]) -> dict[str, tf.Tensor]:
        return solver.step(
            lambda v, u: -risk_of(u, v, training=False), lambda v, u: -risk_of(u, v, training=True)
        )
