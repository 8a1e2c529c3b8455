"""The paper's tables and figures, cell by cell: planned, measured, rendered, judged.

What renders (tables, records, render, figures, claims, judging, pages) imports no TensorFlow; what
measures (store, measuring, work) does. Texts for people are in claims.md and known_gaps.md.
"""
