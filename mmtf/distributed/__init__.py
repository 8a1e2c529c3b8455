"""Training on several devices and in several worker processes."""
