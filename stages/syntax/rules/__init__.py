"""One module for each rule of the syntax stage: its metadata, and the examples that are its tests."""
