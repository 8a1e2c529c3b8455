"""Wraps, validates, loads and exports classifiers; sets the precision they compute in."""
