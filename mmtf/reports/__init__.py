"""Records and the tables made from them. No TensorFlow here."""

from mmtf.reports.paper import paper_figure
from mmtf.reports.record import FORMAT, read_json, write_json
from mmtf.reports.table import lemma_table, result_table, risk_table, rounds_table

__all__ = [
    "FORMAT",
    "lemma_table",
    "paper_figure",
    "read_json",
    "result_table",
    "risk_table",
    "rounds_table",
    "write_json",
]
