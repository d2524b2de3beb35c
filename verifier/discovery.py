"""Which files of a tree count: not those that git ignores, nor hidden folders, virtual environments or `exclude`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.globs import compile_glob, has_magic

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_NEVER = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class _Ignore:
    """The rules of one `.gitignore`, which hold below its folder."""

    base: Path
    spec: GitIgnoreSpec

    def says(self, path: Path, *, folder: bool) -> bool | None:
        relative = path.relative_to(self.base).as_posix() + ("/" if folder else "")
        return self.spec.check_file(relative).include


def walk(start: Path, *, root: Path, exclude: Sequence[str] = ()) -> Iterator[Path]:
    """Yield every file below `start` that counts, in sorted order. `start` itself is taken whatever it is called.

    Links to folders are not followed, so a loop of links cannot trap the walk.
    """
    if not start.is_dir():
        yield start
        return
    excluded = _excluder(root, exclude)
    yield from _walk(start, [rule for rule in _ignores_above(start) if not rule.says(start, folder=True)], excluded)


def _walk(folder: Path, ignores: list[_Ignore], excluded: Callable[[Path], bool]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    ignores = ignores + _ignore_in(folder)
    folders = []
    for entry in entries:
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if _ignored(path, ignores, folder=is_folder) or excluded(path):
            continue
        if is_folder:
            if not _skipped_folder(path):
                folders.append(path)
        elif not (entry.is_symlink() and path.is_dir()):
            yield path
    for path in folders:
        yield from _walk(path, ignores, excluded)


def _skipped_folder(path: Path) -> bool:
    return path.name.startswith(".") or path.name in _NEVER or (path / "pyvenv.cfg").exists()


def _excluder(root: Path, exclude: Sequence[str]) -> Callable[[Path], bool]:
    patterns = [compile_glob(pattern) for pattern in exclude]
    folders = [compile_glob(pattern.removesuffix("/**")) for pattern in exclude if pattern.endswith("/**")]

    def excluded(path: Path) -> bool:
        if not patterns or not path.is_relative_to(root):
            return False
        relative = path.relative_to(root).as_posix()
        return any(pattern.match(relative) for pattern in (*patterns, *folders))

    return excluded


def _ignored(path: Path, ignores: Sequence[_Ignore], *, folder: bool) -> bool:
    for rule in reversed(ignores):  # the deepest file that has an opinion decides
        if (verdict := rule.says(path, folder=folder)) is not None:
            return verdict
    return False


def _ignore_in(folder: Path) -> list[_Ignore]:
    try:
        text = (folder / ".gitignore").read_text("utf-8", errors="surrogateescape")
    except OSError:
        return []
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - only trees that ignore something pay for it

    return [_Ignore(folder, GitIgnoreSpec.from_lines(text.splitlines()))]


def _ignores_above(start: Path) -> list[_Ignore]:
    found: list[_Ignore] = []
    for folder in start.parents if not (start / ".git").exists() else ():
        found = _ignore_in(folder) + found
        if (folder / ".git").exists():
            return found
    return []  # not in a git work tree: what lies above is none of ours


def matching(root: Path, patterns: Sequence[str], candidates: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what each pattern selects: of `candidates` for a glob, the path itself where it names one file."""
    selected: dict[str, tuple[str, ...]] = {}
    for pattern in patterns:
        if has_magic(pattern) or pattern.endswith("/"):
            regex = compile_glob(pattern)
            selected[pattern] = tuple(path for path in candidates if regex.match(path))
        else:
            selected[pattern] = (Path(pattern).as_posix(),) if (root / pattern).is_file() else ()
    return selected
