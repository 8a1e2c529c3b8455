"""Alt-AttNet: alternating descent/ascent, as in the training of GANs."""

from mmtf.games.network_game import NetworkGame


class AltAttNet(NetworkGame):
    """u descends f, v ascends f, in turn (Eq. 19): a saddle point where it converges."""

    default_solver = "alternating"
