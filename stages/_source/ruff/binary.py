"""Decides which ruff is run: the one installed beside us, else one on PATH; never what the verified tree offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

REMEDY = "install it with `pip install 'verify-amp[lint]'`"
_ASK_S = 20.0
_PASSED = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Ruff:
    """A ruff that answered."""

    path: Path
    version: str


def find_ruff(root: Path) -> Ruff | None:
    """Return the first ruff that says which version it is."""
    for path in _candidates(root):
        try:
            done = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=_ASK_S, check=False, env=environment(1)
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
            continue
        words = done.stdout.split()
        if done.returncode == 0 and len(words) > 1 and words[0] == "ruff":
            return Ruff(path, words[1])
    return None


def environment(threads: int) -> dict[str, str]:
    """Return what ruff is told: none of the `RUFF_...` variables, which could change what it looks at."""
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return kept | {"RAYON_NUM_THREADS": str(max(1, threads)), "LANG": "C.UTF-8"}


def _candidates(root: Path) -> list[Path]:
    own = Path(sysconfig.get_path("scripts"))
    found = [Path(path) for path in (shutil.which("ruff", path=str(own)),) if path]
    elsewhere = [
        entry
        for entry in os.environ.get("PATH", "").split(os.pathsep)
        if entry and Path(entry).is_absolute() and not _below(Path(entry), root)
    ]
    path = shutil.which("ruff", path=os.pathsep.join(elsewhere)) if elsewhere else None
    return [*found, *([Path(path)] if path else [])]


def _below(folder: Path, root: Path) -> bool:
    return folder.resolve().is_relative_to(root.resolve())
