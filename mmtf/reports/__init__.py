"""Tables, charts and pages made from records. This package does not import TensorFlow."""

from mmtf.reports.paper import paper_figure
from mmtf.reports.rendering import write_html
from mmtf.reports.table import lemma_table, result_table, risk_table, rounds_table
from mmtf.storage.files import FORMAT, read_json, write_json

__all__ = [
    "FORMAT",
    "lemma_table",
    "paper_figure",
    "read_json",
    "result_table",
    "risk_table",
    "rounds_table",
    "write_html",
    "write_json",
]
