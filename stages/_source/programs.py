"""Decides which program of others is run: one installed beside us, or on PATH; never one of the verified tree."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

_PASSED = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")


def bare_environment() -> dict[str, str]:
    """Return what such a program is told: nothing that could change what it looks at."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ} | {"LANG": "C.UTF-8"}


def candidates(name: str, root: Path) -> list[Path]:
    """Return where a program of that name may be, the best place first."""
    own = Path(sysconfig.get_path("scripts"))
    found = [Path(path) for path in (shutil.which(name, path=str(own)),) if path]
    elsewhere = [
        entry
        for entry in os.environ.get("PATH", "").split(os.pathsep)
        if entry and Path(entry).is_absolute() and not _below(Path(entry), root)
    ]
    path = shutil.which(name, path=os.pathsep.join(elsewhere)) if elsewhere else None
    return [*found, *([Path(path)] if path else [])]


def _below(folder: Path, root: Path) -> bool:
    return folder.resolve().is_relative_to(root.resolve())
