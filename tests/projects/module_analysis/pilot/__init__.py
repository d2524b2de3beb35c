"""A trainer of policies."""
