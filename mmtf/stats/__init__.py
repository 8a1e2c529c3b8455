"""Statistics of measured errors: intervals and paired tests."""
