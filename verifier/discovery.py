"""Which files of a tree count: not those that git ignores, nor hidden folders, virtual environments or `exclude`."""

from __future__ import annotations

import os
import re
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

from verifier.cache import seen
from verifier.globs import compile_glob, has_magic
from verifier.sources import read_regular

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_NEVER = frozenset({"__pycache__", "node_modules"})
_IGNORE = ".gitignore"
_IGNORE_LIMIT = 1 << 20  # bytes of a `.gitignore`
_MAGIC = re.compile(r"[*?\[]")
_STARS = 3  # in one part of a pattern; each more makes the worst case of matching a name's length times slower


@dataclass(frozen=True, slots=True)
class _Ignore:
    """The rules of one `.gitignore`, which hold below its folder."""

    base: Path
    spec: GitIgnoreSpec

    def says(self, path: Path, *, folder: bool) -> bool | None:
        relative = path.relative_to(self.base).as_posix() + ("/" if folder else "")
        return self.spec.check_file(relative).include


def walk(
    start: Path,
    *,
    root: Path,
    exclude: Sequence[str] = (),
    unlisted: Callable[[Path, OSError], None] = lambda _folder, _error: None,
) -> Iterator[Path]:
    """Yield every file below `start` that counts, in sorted order. `start` itself is taken whatever it is called.

    Links to folders are not followed, so a loop of links cannot trap the walk.

    Args:
        unlisted: told of each folder that counts and cannot be listed.
    """
    if not os.path.isdir(start):  # noqa: PTH112 - unlike pathlib's, never raises
        yield start
        return
    excluded = excluder(root, exclude)
    todo = [(start, [rule for rule in _ignores_above(start) if not rule.says(start, folder=True)])]
    while todo:
        folder, ignores = todo.pop()
        seen.to_list(folder)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            unlisted(folder, error)
            continue
        if any(entry.name == _IGNORE for entry in entries):
            ignores = ignores + _ignore_in(folder)
        folders = []
        for entry in entries:
            path = folder / entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if _ignored(path, ignores, folder=is_folder) or excluded(path):
                continue
            if is_folder:
                if not _skipped_folder(path):
                    folders.append((path, ignores))
            elif not (entry.is_symlink() and os.path.isdir(path)):  # noqa: PTH112
                yield path
        todo += reversed(folders)


def _skipped_folder(path: Path) -> bool:
    if path.name.startswith(".") or path.name in _NEVER:
        return True
    if os.path.lexists(path / "pyvenv.cfg"):
        seen.skipped(path / "pyvenv.cfg")
        return True
    return False


def excluder(root: Path, exclude: Sequence[str]) -> Callable[[Path], bool]:
    """Return what says of a path whether `exclude` leaves it out; the file need not be there."""
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
        text = read_regular(folder / _IGNORE, _IGNORE_LIMIT).decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return []
    return [_Ignore(folder, _spec(text.splitlines()))]


def _spec(lines: list[str]) -> GitIgnoreSpec:
    """Return the rules of the lines that git can read as well; it passes over the others too."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - only trees that ignore something pay for it

    lines = [line for line in lines if not _costs_too_much(line)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return GitIgnoreSpec.from_lines(lines)
        except (ValueError, re.error):
            return GitIgnoreSpec.from_lines(line for line in lines if _readable(line))


def _costs_too_much(line: str) -> bool:
    return line.count("*") > _STARS and any(part.strip("*").count("*") >= _STARS for part in line.split("/"))


def _readable(line: str) -> bool:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _ignores_above(start: Path) -> list[_Ignore]:
    found: list[_Ignore] = []
    for folder in start.parents if not seen.is_there(start / ".git") else ():
        found = _ignore_in(folder) + found
        if seen.is_there(folder / ".git"):
            return found
    return []  # not in a git work tree: what lies above is none of ours


class Paths(Sequence[str]):
    """Paths of files from the root, sorted: a thousand patterns ask each for the few that may match it."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._sorted = sorted(paths)

    def __len__(self) -> int:
        return len(self._sorted)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._sorted[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sorted)

    def starting(self, prefix: str) -> Iterator[str]:
        """Yield the paths that begin with a text."""
        for index in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[index].startswith(prefix):
                return
            yield self._sorted[index]


def matching(root: Path, patterns: Sequence[str], candidates: Paths) -> dict[str, tuple[str, ...]]:
    """Return what each pattern selects: of `candidates` for a glob, the path itself where it names one file."""
    selected: dict[str, tuple[str, ...]] = {}
    for pattern in patterns:
        if has_magic(pattern) or pattern.endswith("/"):
            regex = compile_glob(pattern)
            plain = _MAGIC.split(pattern.strip("/"), maxsplit=1)[0]
            selected[pattern] = tuple(path for path in candidates.starting(plain) if regex.match(path))
        else:
            selected[pattern] = (Path(pattern).as_posix(),) if os.path.isfile(root / pattern) else ()  # noqa: PTH113
    return selected
