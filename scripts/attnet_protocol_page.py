"""Renders the hypotheses on the paper's AttNet beside its printed errors."""

from scripts.blocks import RESULTS

RECORD = RESULTS / "section4" / "attnet_protocol.json"


def write(path):
    pass
