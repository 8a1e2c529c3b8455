"""The geometry of balls within the box, for `mmtf.threat`."""
