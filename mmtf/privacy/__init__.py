"""The privacy game (section 5.2): a filter that keeps the target and hides the private attribute.

    python -m mmtf.privacy --data=genki.mat --filter=linear --dimensions=10

From Python:

    from mmtf import privacy

    data = privacy.load_data("digits")
    game = privacy.PrivacyGame(data, privacy.linear(data, 10), rho=1.0)
    found = game.play(steps=500)
    cell = privacy.measure(found.filter, data)
"""

import importlib

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


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mmtf.privacy' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
