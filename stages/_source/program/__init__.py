"""Whole programs, read but not run: scopes, what names stand for, and what kind of object a value is."""
