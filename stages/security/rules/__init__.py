"""One file a rule; its examples are its tests."""
