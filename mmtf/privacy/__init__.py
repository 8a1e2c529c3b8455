"""The privacy game (section 5.2): a filter that keeps the target and hides the private attribute.

    python -m mmtf.privacy --data=genki.mat --filter=linear --dimensions=10

From Python:

    from mmtf import privacy

    data = privacy.load_data("digits")
    game = privacy.PrivacyGame(data, privacy.linear(data, 10), rho=1.0)
    found = game.play(steps=500)
    cell = privacy.measure(found.filter, data)
"""

from mmtf.privacy.attackers import ATTACKERS, Cell, measure
from mmtf.privacy.data import PrivacyData, load_data
from mmtf.privacy.filters import FILTERS, conv, linear, network
from mmtf.privacy.game import PrivacyGame, Solved

__all__ = [
    "ATTACKERS",
    "FILTERS",
    "Cell",
    "PrivacyData",
    "PrivacyGame",
    "Solved",
    "conv",
    "linear",
    "load_data",
    "measure",
    "network",
]
