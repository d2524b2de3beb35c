"""The command line as a fixture, as in tests/verifier."""

from __future__ import annotations

from tests.verifier.conftest import command

__all__ = ["command"]
