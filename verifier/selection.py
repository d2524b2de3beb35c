"""Which files a task or a `check` selects, read once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.cache import seen
from verifier.config import find_root
from verifier.discovery import Paths, matching, walk
from verifier.errors import UsageError
from verifier.globs import compile_glob
from verifier.notebooks.file import NotebookFile
from verifier.sources import NOTEBOOK, PYTHON, SourceFile, SourceTree, UnlistedFolder

if TYPE_CHECKING:
    from verifier.cache.cache import Cache
    from verifier.model.task import Config, Task

_READ = (*PYTHON, NOTEBOOK)
MARKERS = ("pyproject.toml", "verifier.toml", ".git")


def task_sources(config: Config, task: Task) -> SourceTree:
    """Return the files of a task: what its globs select, and the Python files of its tests.

    Raises:
        UsageError: a file vanished since the configuration was checked.
    """
    root = config.root
    closed = Closed(root)
    found = walk(root, root=root, exclude=config.exclude, unlisted=closed.when(task.files))
    candidates = Paths(relative_to(root, path) for path in found)
    return task_tree(config, task, candidates, closed, lambda path: source_file(path, root / path))


def task_tree(
    config: Config, task: Task, candidates: Paths, closed: Closed, read: Callable[[str], SourceFile]
) -> SourceTree:
    """Return the files of a task among the candidates, and the Python files of its tests.

    Args:
        closed: the folders that could not be listed, as far as they may concern the task.
        read: gives a file by its path from the root.
    """
    root = config.root
    paths = {path for found in matching(root, task.files, candidates).values() for path in found}
    for name in task.tests:
        below = walk(root / name, root=root, exclude=config.exclude, unlisted=closed.add)
        paths |= {relative_to(root, path) for path in below if path.suffix in PYTHON}
    if not paths:
        raise UsageError(f"task {task.name} selects no file; see `files` in its table")
    return SourceTree(root, [*(read(path) for path in sorted(paths)), *closed.folders.values()])


class Closed:
    """The folders that could not be listed, by path."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folders: dict[str, UnlistedFolder] = {}

    def add(self, folder: Path, error: OSError) -> None:
        path = relative_to(self._root, folder)
        self.folders[path] = UnlistedFolder(path, folder, error.strerror or str(error))

    def when(self, patterns: Sequence[str]) -> Callable[[Path, OSError], None]:
        """Return `add` for folders below which one of the patterns may match a file."""
        globs = [compile_glob(pattern) for pattern in patterns]

        def add(folder: Path, error: OSError) -> None:
            path = relative_to(self._root, folder)
            inside = [f"{path}/{name}{suffix}" for name in ("x", "x/x") for suffix in _READ]
            if any(glob.match(name) for glob in globs for name in inside):
                self.add(folder, error)

        return add


def is_absent(path: Path) -> bool:
    """Return whether there is certainly no such file or folder; where nobody may look, the report says so."""
    try:
        path.lstat()
    except PermissionError:
        return False
    except OSError:
        return True
    return False


def check_root(paths: Sequence[Path]) -> Path:
    """Return the root for `verify check`: the nearest marked folder above the paths, else the current folder.

    Where the paths lie outside the current folder and nothing above them is marked, it is their common folder.
    """
    common = Path(os.path.commonpath([os.path.realpath(path) for path in paths]))
    marked = find_root(common, markers=MARKERS)
    if marked is not None:
        return marked
    here = Path.cwd()
    if common.is_relative_to(here):
        return here
    return common if os.path.isdir(common) else common.parent  # noqa: PTH112


def check_sources(root: Path, paths: Sequence[Path], exclude: Sequence[str], cache: Cache | None = None) -> SourceTree:
    """Return the Python files and notebooks below the paths; a file that is named itself is taken whatever its suffix.

    Raises:
        UsageError: a path does not exist, or there is nothing to check.
    """
    files: dict[str, SourceFile] = {}
    closed = Closed(root)
    for path in paths:
        if is_absent(path):
            raise UsageError(f"{path}: there is no such file or folder")
        is_folder = os.path.isdir(path)  # noqa: PTH112 - unlike pathlib's, never raises
        absolute = Path(os.path.realpath(path if is_folder else path.parent), "" if is_folder else path.name)
        start = str(absolute)
        for found in _files_below(absolute, root, exclude, closed.add, cache):
            named = found == start
            if named or _suffix(found) in _READ:
                name = _relative_text(root, found)
                files.setdefault(name, _source_file(name, found, named=named, cache=cache))
    if not files and not closed.folders:
        raise UsageError(f"nothing to check: no Python file and no notebook below {', '.join(map(str, paths))}")
    tree = SourceTree(root, [*files.values(), *closed.folders.values()])
    if cache is not None:
        tree.cache = cache
        tree.file = lambda path: _source_file(path, str(root / path), cache=cache)
    return tree


def _files_below(
    start: Path, root: Path, exclude: Sequence[str], unlisted: Callable[[Path, OSError], None], cache: Cache | None
) -> Iterable[str]:
    """Return the absolute paths of the files that count below a folder."""
    if cache is not None:
        return cache.walk(start, root=root, exclude=exclude, unlisted=unlisted)
    return map(str, walk(start, root=root, exclude=exclude, unlisted=unlisted))


def _source_file(path: str, absolute: str, *, named: bool = False, cache: Cache | None = None) -> SourceFile:
    """Return a file as it is read; one that an earlier run knows when somebody asks for it."""
    if cache is not None and path.endswith(PYTHON):
        return cache.file(path, absolute)
    return source_file(path, Path(absolute), named=named)


def _relative_text(root: Path, path: str) -> str:
    below = f"{root}/"
    if os.sep == "/" and path.startswith(below):  # of thousands of paths, nearly every one
        return path[len(below) :]
    return relative_to(root, Path(path))


def _suffix(path: str) -> str:
    name = path[path.rfind(os.sep) + 1 :]
    at = name.rfind(".")
    return name[at:] if 0 < at < len(name) - 1 else ""


def script_sources(config: Config, start: Path) -> SourceTree:
    """Return the files that `verify run` may have to show: the project's Python files, and the script itself.

    A root that nothing marks as a project may be anything, a home folder say; then it is the files beside the script.
    """
    beside = start if start.is_dir() else start.parent
    if find_root(config.root, markers=MARKERS) == config.root:
        found = list(walk(config.root, root=config.root, exclude=config.exclude))
    else:
        found = sorted(path for path in Path(os.path.realpath(beside)).iterdir() if path.is_file())
    script = [] if start.is_dir() else [Path(os.path.realpath(beside), start.name)]
    files = {
        relative_to(config.root, path): path for path in (*found, *script) if path.suffix in PYTHON or path in script
    }
    return SourceTree(config.root, [source_file(name, path, named=path in script) for name, path in files.items()])


def source_file(path: str, absolute: Path, *, named: bool = False) -> SourceFile:
    """Return a file as it is read: a notebook by its cells."""
    return (NotebookFile if path.endswith(NOTEBOOK) else SourceFile)(path, absolute, named=named)


def relative_to(root: Path, path: Path) -> str:
    """Return a path from the root in POSIX form, with `..` where it lies outside."""
    return (
        path.relative_to(root).as_posix() if path.is_relative_to(root) else Path(os.path.relpath(path, root)).as_posix()
    )


def rest_of_project(config: Config, sources: SourceTree) -> tuple[SourceFile, ...]:
    """Return the project's Python files that were not selected, for questions that concern the whole project.

    A root that nothing marks as a project (no configuration, no metadata, no git) has no rest: it may be anything.
    """
    if find_root(config.root, markers=MARKERS) != config.root:
        seen.note_rest(())
        return ()
    if sources.rest is None:  # several stages ask, and what was parsed of a file holds as long as the file does
        names = (name for name in _walked(config, sources) if name.endswith(PYTHON))
        sources.rest = tuple(sources.file(name) for name in names if sources.get(name) is None)
    seen.note_rest(sources.rest)
    return sources.rest


def others_of_project(config: Config, sources: SourceTree, wanted: Callable[[str], bool]) -> tuple[SourceFile, ...]:
    """Return the project's files that are no Python, were not selected, and are wanted by their path."""
    seen.may_differ_next_time("it depends on files that are no Python")  # which nobody keeps a note of
    if find_root(config.root, markers=MARKERS) != config.root:
        return ()
    names = [name for name in _walked(config, sources) if not name.endswith(_READ) and wanted(name)]
    return tuple(sources.file(name) for name in names if sources.get(name) is None)


def _walked(config: Config, sources: SourceTree) -> Sequence[str]:
    if sources.walked is None:
        found = _files_below(config.root, config.root, config.exclude, lambda _folder, _error: None, sources.cache)
        sources.walked = tuple(_relative_text(config.root, path) for path in found)
    return sources.walked
