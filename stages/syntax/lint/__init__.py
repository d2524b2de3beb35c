"""Lint is delegated to ruff: which of its rules count, how it is run, and what of its word is passed on."""

from stages.syntax.lint.check import Linted, Linting

__all__ = ["Linted", "Linting"]
