"""Utilities for validating a model in three tiers."""
