"""Records and the tables made from them. No TensorFlow here."""

from mmtf.reports.paper import paper_figure
from mmtf.reports.record import FORMAT, read_json, write_json
from mmtf.reports.table import result_table, rounds_table

__all__ = ["FORMAT", "paper_figure", "read_json", "result_table", "rounds_table", "write_json"]
