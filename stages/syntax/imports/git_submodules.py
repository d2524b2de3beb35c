"""Decides which folders are git submodules that have not been checked out: what they hold cannot be judged."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from verifier.api import read_regular, to_list

_PATH = re.compile(r"(?m)^\s*path\s*=\s*(\S.*?)\s*$")


class GitSubmodules:
    """The folders that .gitmodules names and that are absent or empty."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._absent: tuple[PurePosixPath, ...] | None = None

    def holding(self, folder: str, name: str) -> str | None:
        """Return the absent submodule that module `name` of a folder, given as an absolute path, would lie in."""
        try:
            below = PurePosixPath(folder).relative_to(self._root.as_posix())
        except ValueError:
            return None
        wanted = below / name
        return next((path.as_posix() for path in self._paths() if path == wanted or path in wanted.parents), None)

    def called(self, top: str) -> str | None:
        """Return the absent submodule that may bring a top-level module: one whose path has its name."""
        word = re.compile(rf"\b{re.escape(top)}\b", re.IGNORECASE)
        return next((path.as_posix() for path in self._paths() if word.search(path.as_posix().replace("-", "_"))), None)

    def _paths(self) -> tuple[PurePosixPath, ...]:
        if self._absent is None:
            try:
                text = read_regular(self._root / ".gitmodules").decode("utf-8", "replace")
            except OSError:
                text = ""
            named = (PurePosixPath(path.strip('"')) for path in _PATH.findall(text))
            self._absent = tuple(path for path in named if _is_empty(self._root / path))
        return self._absent


def _is_empty(folder: Path) -> bool:
    to_list(folder)
    try:
        return next(folder.iterdir(), None) is None
    except OSError:
        return True
