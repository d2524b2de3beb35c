"""One module for each AMP rule: its metadata, the examples that are its tests, and its check."""
