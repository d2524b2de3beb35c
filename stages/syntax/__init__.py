"""Stage 1: does the code parse, compile, resolve its names and imports, and load."""
