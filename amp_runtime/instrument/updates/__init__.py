"""Compare two trainings by what they do to each parameter, and derive how far they may differ."""
