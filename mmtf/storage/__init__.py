"""Files that are whole or absent, locks, caches, and where a figure came from."""
