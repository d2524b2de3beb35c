"""Decides how ruff is found, run where it can be killed, and understood."""
