"""Minimax-AttNet: Algorithm 1 between a classifier and an attack network."""

from mmtf.games.network_game import NetworkGame


class MinimaxAttNet(NetworkGame):
    """min_u max_v f(u, v): u descends f + (gamma / 2) ||df/dv||^2, v ascends f (Eqs. 14 to 16)."""

    default_solver = "sensitivity"
