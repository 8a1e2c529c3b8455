"""Runs of `python -m mmtf.run`: from the configuration to the finished record."""
