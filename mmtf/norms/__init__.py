"""The geometry of l2 and l1 balls within the box, for `mmtf.threat`."""
