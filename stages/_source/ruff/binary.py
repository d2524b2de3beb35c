"""Decides which ruff is run: the one installed beside us, else one on PATH; never what the verified tree offers."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.programs import bare_environment, candidates
from verifier.api import may_differ_next_time

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "install it with `pip install 'verify-amp[lint]'`"
_ASK_S = 20.0


@dataclass(frozen=True, slots=True)
class Ruff:
    """A ruff that answered."""

    path: Path
    version: str


def find_ruff(root: Path) -> Ruff | None:
    """Return the first ruff that says which version it is."""
    for path in candidates("ruff", root):
        try:
            done = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=_ASK_S, check=False, env=environment(1)
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
            may_differ_next_time("ruff did not say which version it is")
            continue
        words = done.stdout.split()
        if done.returncode == 0 and len(words) > 1 and words[0] == "ruff":
            return Ruff(path, words[1])
    return None


def environment(threads: int) -> dict[str, str]:
    """Return what ruff is told: none of the `RUFF_...` variables, which could change what it looks at."""
    return bare_environment() | {"RAYON_NUM_THREADS": str(max(1, threads))}
