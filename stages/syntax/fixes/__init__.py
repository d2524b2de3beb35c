"""One fix per file, called like the rule whose findings it mends."""
