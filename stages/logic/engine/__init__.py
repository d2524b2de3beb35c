"""Follows a program path by path: which objects are scalers and optimizers, and what happens to them in which order."""
