"""Several devices and several worker processes."""
