"""Decides which secret scanner is run: betterleaks from version 2 on, never one of the verified tree."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.programs import bare_environment, candidates

if TYPE_CHECKING:
    from pathlib import Path

NAME = "betterleaks"
REMEDY = "install it with `pip install 'verify-amp[secrets]'`, or put betterleaks 2 on PATH"
_ASK_S = 20.0
_VERSION = late(r"v?(\d+)\.\d+\S*\Z")
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner that answered; `usable` says whether it takes our options."""

    path: Path
    version: str
    usable: bool


def find_scanner(root: Path) -> Scanner | None:
    """Return the first betterleaks that says which version it is, one that takes our options before others."""
    found: list[Scanner] = []
    for path in candidates(NAME, root):
        try:
            done = subprocess.run(
                [path, "version"], capture_output=True, text=True, timeout=_ASK_S, check=False, env=bare_environment()
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
            continue
        words = done.stdout.split()
        match = _VERSION.match(words[-1]) if words else None
        if done.returncode == 0 and match is not None:
            found.append(Scanner(path, words[-1], int(match[1]) >= _LEAST))
    return next((scanner for scanner in found if scanner.usable), found[0] if found else None)
