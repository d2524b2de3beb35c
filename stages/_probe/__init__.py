"""Stages that run code do it through this client: one probe, one process, hard limits."""
