"""Decides how entries lie on disk: whole or not there, checked when they are read, and not for ever."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from verifier.cache.place import is_ours
from verifier.sources import read_with_status

_HEAD = b"verify-cache 1 "
_LIMIT_BYTES = 256 << 20  # of one entry
_TEMPORARY = "tmp-"
_ABANDONED_S = 3600.0
_UNUSED_S = 60 * 86400.0
_PROJECT = re.compile(r"[\w-]+-[0-9a-f]{16}")
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder was made by verify. What is in it can be removed at any time.\n"
    "# About this file: https://bford.info/cachedir/\n"
)


class Store:
    """A folder of entries by name. Whatever goes wrong here costs time, never a verdict.

    Args:
        most_bytes: of all entries together; those that were not used for longest are removed first.
    """

    def __init__(self, folder: Path, *, most_bytes: int = 256 << 20) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._usable = is_ours(folder) and is_ours(folder.parent)

    def read(self, name: str) -> Any:
        """Return what was kept under a name; None where there is nothing, or nothing whole."""
        if not self._usable:
            return None
        try:
            data, _ = read_with_status(self.folder / name, _LIMIT_BYTES)  # what is kept is no input
            head, _, body = data.partition(b"\n")
            if head != _HEAD + hashlib.sha256(body).hexdigest().encode():
                return None
            found = json.loads(body)
        except (OSError, ValueError, RecursionError, MemoryError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self.folder / name)  # it was of use
        return found

    def write(self, name: str, value: Any) -> None:
        """Keep a value of JSON under a name, in the place of what was there; silently not, where that cannot be."""
        try:
            body = json.dumps(value, separators=(",", ":"), check_circular=False).encode("ascii")
            self._make()
            if self._usable:
                self._replace(name, _HEAD + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
                self._prune()
        except (OSError, ValueError, TypeError, RecursionError, MemoryError):
            return

    def _make(self) -> None:
        if self._usable:
            return
        base = self.folder.parent
        base.parent.mkdir(parents=True, exist_ok=True)
        for folder in (base, self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        _forget_unused(base)
        for name, text in (("CACHEDIR.TAG", _TAG), (".gitignore", "*\n")):
            if not (base / name).exists():
                (base / name).write_text(text, "ascii")
        self._usable = is_ours(self.folder) and is_ours(base)

    def _replace(self, name: str, data: bytes) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=_TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(self.folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise

    def _prune(self) -> None:
        """Remove what has not been used for longest, and what runs have left that were killed."""
        kept = []
        for path in self.folder.iterdir():
            status = path.stat()
            if path.name.startswith(_TEMPORARY):
                if status.st_mtime < time.time() - _ABANDONED_S:
                    path.unlink(missing_ok=True)
            else:
                kept.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if total <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size


def _forget_unused(base: Path) -> None:
    """Remove the folders of projects that nobody has verified for two months."""
    for folder in base.iterdir():
        if _PROJECT.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            newest = max((entry.stat().st_mtime for entry in os.scandir(folder)), default=folder.stat().st_mtime)
            if newest < time.time() - _UNUSED_S:
                shutil.rmtree(folder, ignore_errors=True)
