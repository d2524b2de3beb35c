"""Which files a task or a `check` selects, read once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.config import find_root
from verifier.discovery import matching, walk
from verifier.errors import UsageError
from verifier.sources import SourceFile, SourceTree

if TYPE_CHECKING:
    from verifier.model.task import Config, Task

MARKERS = ("pyproject.toml", "verifier.toml", ".git")
_PYTHON = (".py", ".pyi", ".pyw")


def task_sources(config: Config, task: Task) -> SourceTree:
    """Return the files of a task: what its globs select, and the Python files of its tests.

    Raises:
        UsageError: a file vanished since the configuration was checked.
    """
    candidates = [_relative(path, config.root) for path in walk(config.root, root=config.root, exclude=config.exclude)]
    paths = {path for found in matching(config.root, task.files, candidates).values() for path in found}
    for name in task.tests:
        below = walk(config.root / name, root=config.root, exclude=config.exclude)
        paths |= {_relative(path, config.root) for path in below if path.suffix in _PYTHON}
    if not paths:
        raise UsageError(f"task {task.name} selects no file; see `files` in its table")
    return SourceTree(config.root, [SourceFile(path, config.root / path) for path in sorted(paths)])


def check_root(paths: Sequence[Path]) -> Path:
    """Return the root for `verify check`: the nearest marked folder above the paths, else the current folder.

    Where the paths lie outside the current folder and nothing above them is marked, it is their common folder.
    """
    common = Path(os.path.commonpath([path.resolve() for path in paths]))
    marked = find_root(common, markers=MARKERS)
    if marked is not None:
        return marked
    here = Path.cwd()
    if common.is_relative_to(here):
        return here
    return common if common.is_dir() else common.parent


def check_sources(root: Path, paths: Sequence[Path], exclude: Sequence[str]) -> SourceTree:
    """Return the Python files below the paths; a file that is named itself is taken whatever its suffix.

    Raises:
        UsageError: a path does not exist, or there is nothing to check.
    """
    files: dict[str, SourceFile] = {}
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise UsageError(f"{path}: there is no such file or folder")
        absolute = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
        for found in walk(absolute, root=root, exclude=exclude):
            if found == absolute or found.suffix in _PYTHON:
                name = _relative(found, root)
                files.setdefault(name, SourceFile(name, found))
    if not files:
        raise UsageError(f"nothing to check: no Python file below {', '.join(map(str, paths))}")
    return SourceTree(root, files.values())


def _relative(path: Path, root: Path) -> str:
    return (
        path.relative_to(root).as_posix() if path.is_relative_to(root) else Path(os.path.relpath(path, root)).as_posix()
    )


def rest_of_project(config: Config, sources: SourceTree) -> tuple[SourceFile, ...]:
    """Return the project's Python files that were not selected, for questions that concern the whole project.

    A root that nothing marks as a project (no configuration, no metadata, no git) has no rest: it may be anything.
    """
    if find_root(config.root, markers=MARKERS) != config.root:
        return ()
    found = walk(config.root, root=config.root, exclude=config.exclude)
    names = (_relative(path, config.root) for path in found if path.suffix in _PYTHON)
    return tuple(SourceFile(name, config.root / name) for name in names if sources.get(name) is None)
