"""Brings what measures a machine to `verify calibrate`."""
