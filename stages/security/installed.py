"""Decides which torch the verified project's environment has, by its metadata alone."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

from stages._source.environment import interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from stages._source.versions import Version


def installed_torch(python: Path | None) -> Version | None:
    """Return the version of torch beside an interpreter; None where there is none."""
    path = list(interpreter(python).path)
    for found in metadata.distributions(name="torch", path=path):
        match = re.match(r"\d+(?:\.\d+)*", found.version or "")
        if match is not None:
            return tuple(int(part) for part in match[0].split("."))
    return None
