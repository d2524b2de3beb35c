"""What git says of the tree, asked so that a hostile repository's configuration cannot run programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SAFE = ("--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_LIMIT_S = 20


def commit_and_dirty(root: Path) -> tuple[str | None, bool | None]:
    """Return the commit checked out at `root` and whether anything differs from it; (None, None) outside git."""
    git = shutil.which("git")
    if git is None:
        return None, None
    command = [git, *_SAFE, "-C", str(root), "status", "--porcelain=v2", "--branch", "-z", "--", "."]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    if done.returncode != 0:
        return None, None
    fields = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    oid = next((field.removeprefix("# branch.oid ") for field in fields if field.startswith("# branch.oid ")), None)
    dirty = any(field and not field.startswith("# ") for field in fields)
    return (None if oid in (None, "(initial)") else oid), dirty
