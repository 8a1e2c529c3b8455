"""The paper's tables and figures, cell by cell: planned, measured, rendered, judged.

Right of evaluation and reports, left of scripts. What renders (tables, results, estimates, claims,
render, figures, pages) imports no TensorFlow; what measures (store, measuring, work) does.
"""
