"""docs/performance.md from the committed records: `python -m scripts.performance`."""
