"""Decides how a place of a finding is written for tools that take only a file of the repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from verifier.api import Location, RunReport

_DRIVE = re.compile(r"[A-Za-z]:(?=[\\/])")
_LONG = 1_000  # characters; no file system has a longer path that these tools could open


def file_of(path: str, otherwise: str) -> str:
    """Return a relative path; what names no file (empty, the root) becomes `otherwise`."""
    relative = _DRIVE.sub("", path[:_LONG]).replace("\\", "/") if _DRIVE.match(path) else path[:_LONG]
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    return "/".join(parts) or otherwise


def some_file(report: RunReport) -> str:
    """Return the file at which something is shown that belongs to none: the first one that was judged."""
    files = sorted(file.path for file in report.source.files)
    return file_of(files[0], "pyproject.toml") if files else "pyproject.toml"


def uri(path: str) -> str:
    """Return a relative path as a URI reference that cannot be read as one with a scheme or a host."""
    return quote(path.encode("utf-8", "backslashreplace"), safe="/")


def last_line(location: Location) -> int:
    return max(location.line, location.end_line or location.line)
