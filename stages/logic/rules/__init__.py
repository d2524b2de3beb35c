"""One module for each AMP and MOD rule: its metadata, the examples that are its tests, and its check."""
