"""The frozen facts every part of `verify` speaks in."""
