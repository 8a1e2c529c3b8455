"""Implementation of the commands `python -m mmtf.run` and `python -m mmtf.evaluate`."""
