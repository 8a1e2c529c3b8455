"""Atomic file writes, locks, caches, and the provenance of results."""
