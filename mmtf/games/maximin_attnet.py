"""Maximin-AttNet: the attacker leads."""

from mmtf.games.network_game import NetworkGame


class MaximinAttNet(NetworkGame):
    """max_v min_u f(u, v), Eq. 17: Algorithm 1 with the players switched and f's sign flipped.

    v descends -f + (gamma / 2) ||df/du||^2, u descends f.
    """

    default_solver = "sensitivity"
    risk_sign = -1.0

    def order_players(self, defender, attacker):
        return attacker, defender

    def solve(self, solver, risk_of):
        return solver.step(
            lambda v, u: -risk_of(u, v, training=False), lambda v, u: -risk_of(u, v, training=True)
        )
