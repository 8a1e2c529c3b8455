"""The privacy game (section 5.2): a filter that keeps the target and hides the private attribute.

    python -m mmtf.privacy --data=genki.mat --filter=linear --dimensions=10

From Python:

    from mmtf import privacy

    data = privacy.load_data("digits")
    game = privacy.PrivacyGame(data, privacy.linear(data, 10), rho=1.0)
    found = game.play(steps=500)
    cell = privacy.measure(found.filter, data)
"""

from mmtf.registry import lazy_attributes

# Imported when first used: the command sets TensorFlow up before it is imported.
_PUBLIC = {
    "ATTACKERS": "mmtf.privacy.attackers",
    "Cell": "mmtf.privacy.attackers",
    "FILTERS": "mmtf.privacy.filters",
    "PrivacyData": "mmtf.privacy.examples",
    "PrivacyGame": "mmtf.privacy.game",
    "Solved": "mmtf.privacy.game",
    "conv": "mmtf.privacy.filters",
    "linear": "mmtf.privacy.filters",
    "load_data": "mmtf.privacy.data",
    "measure": "mmtf.privacy.attackers",
    "network": "mmtf.privacy.filters",
    "save_filter": "mmtf.classifiers.export",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazy_attributes(__name__, _PUBLIC)
