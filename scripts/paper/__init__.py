"""Reproduction of the paper's tables and figures: plans, measures, renders, tests its claims.

The modules that render (tables, records, render, figures, claims, judging, pages) import no
TensorFlow; those that measure (store, measuring, work) do. claims.md and known_gaps.md hold texts.
"""
