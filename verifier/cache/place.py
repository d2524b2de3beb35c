"""Decides where the cache of a project lies: with the user's other caches, where nothing under verification writes.

Not in the tree: whoever sends a change could send a cache with it that says PASS.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path

VARIABLE = "VERIFY_CACHE_DIR"
_NAME = "verify-amp"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder(root: Path) -> Path | None:
    """Return the folder for what is kept about the project at `root`; None where nothing is to be kept."""
    base = _base()
    if base is None or base.is_relative_to(root) or Path(os.path.realpath(base)).is_relative_to(os.path.realpath(root)):
        return None
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    name = "".join(character for character in root.name if character.isalnum() or character in "-_")[:40]
    return base / f"{name or 'root'}-{digest}"


def is_ours(folder: Path) -> bool:
    """Say whether a folder is one that only this user can have written to."""
    if sys.platform == "win32":
        return True
    try:
        status = folder.lstat()
    except OSError:
        return False
    own = status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE
    return own and stat.S_ISDIR(status.st_mode)


def _base() -> Path | None:
    if VARIABLE in os.environ:
        named = os.environ[VARIABLE]
        return Path(os.path.abspath(named)) if named else None  # noqa: PTH100 - links stay
    if (xdg := os.environ.get("XDG_CACHE_HOME", "")) and Path(xdg).is_absolute():
        return Path(xdg, _NAME)
    try:
        home = Path.home()
    except RuntimeError:  # nobody knows where that is
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / _NAME
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"), _NAME, "cache")
    return home / ".cache" / _NAME
