"""Alt-AttNet: alternating descent/ascent, as in the training of GANs."""

from mmtf.games.network_game import NetworkGame


class AltAttNet(NetworkGame):
    """Alternating descent of u and ascent of v on f (Eq. 19); converges to saddle points only."""

    default_solver = "alternating"
