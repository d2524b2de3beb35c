"""Decides how a test makes a source file out of text, and scans it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from stages.syntax.scan import scan_file
from verifier.api import Finding, SourceFile


def source_file(text: str | bytes, path: str = "mod.py") -> SourceFile:
    """Make a file that exists in memory only."""
    file = SourceFile.__new__(SourceFile)
    file.path = path
    file.absolute = Path("/nowhere") / path
    file.data = text if isinstance(text, bytes) else text.encode()
    file.problem = None
    return file


def findings(text: str, path: str = "mod.py") -> tuple[Finding, ...]:
    """Return the name findings of a module given as indented text."""
    return scan_file(source_file(textwrap.dedent(text).lstrip("\n"), path)).findings


def codes(text: str, path: str = "mod.py") -> list[tuple[str, str, int, str | None]]:
    """Return (rule, severity, line, name) of each name finding."""
    return [(f.rule, f.severity.name, f.location.line, f.symbol) for f in findings(text, path)]
