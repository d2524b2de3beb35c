"""Stage 5: secrets, unsafe loading and execution, and what leaves for experiment trackers."""
