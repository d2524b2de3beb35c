"""Which files of a folder belong to its project, by git where there is git."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from verifier.api import ask_git, compile_glob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_CODE = (".py", ".pyi", ".so", ".pyd", ".ipynb")
_NEVER = frozenset({"__pycache__", "node_modules", ".git"})
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")  # what marks an environment of packages
_SECRET = (".env", ".netrc", ".pypirc")
# what Hypothesis works out once, in seconds, and keeps; not the examples that have failed before
_WORKED_OUT = (".hypothesis", ".hypothesis/unicode_data", ".hypothesis/constants")


def is_code(name: str) -> bool:
    """Say whether Python can import a file of this name, or people run it."""
    return name.endswith(_CODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Says of each file and folder whether it belongs to the project.

    Args:
        listed: what git tracks or would track, and the task's own files; None: there is no git, all belongs.
        folders: those that hold one of `listed`. code_folders: those of them that hold code.
        own: the task's own files, and the folders that hold them.
        exclude: globs of what the configuration excludes, where there is no git.
    """

    listed: frozenset[str] | None
    folders: frozenset[str] = frozenset()
    code_folders: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    exclude: tuple[str, ...] = ()

    def is_own(self, path: str) -> bool:
        return path in self.own

    def takes_file(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        if self.listed is None:
            return not name.endswith(".pyc") and not name.startswith(_SECRET) and not self._is_excluded(path)
        return path in self.listed or (not name.startswith(".") and not name.endswith(".pyc"))

    def takes_folder(self, path: str, place: str) -> bool:
        name = path.rpartition("/")[2]
        if name in _NEVER or any(os.path.lexists(os.path.join(place, mark)) for mark in _ENVIRONMENT):  # noqa: PTH118
            return False
        if path in _WORKED_OUT or path.startswith(f"{_WORKED_OUT[1]}/"):
            return True
        hidden = name.startswith(".") or path.startswith(f"{_WORKED_OUT[0]}/")
        if self.listed is None:
            return not hidden and not self._is_excluded(path)
        return path in self.folders or not hidden

    def holds_code(self, path: str) -> bool:
        return path in self.code_folders

    def _is_excluded(self, path: str) -> bool:
        return any(compile_glob(pattern).match(path) for pattern in self.exclude)


def list_project(root: Path, own: Iterable[str], exclude: Sequence[str] = ()) -> Listing:
    """Ask git what belongs to the project.

    Args:
        own: files that belong to it whatever git says, relative to the root.
        exclude: globs of what does not, where there is no git.
    """
    known, wanted = _known_to_git(root), frozenset(own)
    mine = wanted | _above(wanted)
    if known is None:
        folders = tuple(pattern.removesuffix("/**") for pattern in exclude if pattern.endswith("/**"))
        return Listing(listed=None, own=mine, exclude=(*exclude, *folders))
    listed = known | wanted
    code = _above(path for path in listed if is_code(path))
    return Listing(listed=listed, own=mine, folders=_above(listed), code_folders=code)


def _above(paths: Iterable[str]) -> frozenset[str]:
    direct = {path.rpartition("/")[0] for path in paths}
    return frozenset(
        folder.as_posix() for path in direct for folder in (PurePosixPath(path), *PurePosixPath(path).parents)
    )


def _known_to_git(root: Path) -> frozenset[str] | None:
    anybodys = ("-c", "safe.directory=*")  # a container's checkout often belongs to another user
    answer = ask_git(root, *anybodys, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return None if answer is None else frozenset(os.fsdecode(name) for name in answer.split(b"\0") if name)
