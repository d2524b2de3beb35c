"""Decides which tasks a set of changed files concerns, and which of the files belong to none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from verifier.discovery import excluder, walk
from verifier.globs import compile_glob, has_magic
from verifier.sources import NOTEBOOK, PYTHON

if TYPE_CHECKING:
    from verifier.model.task import Config, Task

# Beside the configuration itself: what says which packages and settings every task runs with.
_OF_ALL = ("pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", ".pytest.ini", "tox.ini", "conftest.py")
_REQUIREMENTS = compile_glob("*requirements*.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """What has to be verified: tasks by name, and files that no task reads."""

    tasks: tuple[str, ...]
    loose: tuple[Path, ...]


def affected(config: Config, changed: Iterable[Path], besides: Iterable[Path] = ()) -> Affected:
    """Return what the changed files concern.

    Args:
        changed: absolute paths; a file may be gone.
        besides: further files on which every task depends, such as the baseline.
    """
    root = Path(os.path.realpath(config.root))
    paths = {path.relative_to(root).as_posix(): path for path in changed if path.is_relative_to(root)}
    of_all = {path.name for path in (config.path,) if path} | set(_OF_ALL)
    every = {Path(os.path.realpath(path)) for path in besides}
    if any(name in of_all or _REQUIREMENTS.match(name) or path in every for name, path in paths.items()):
        tasks = tuple(config.tasks)
    else:
        tasks = tuple(name for name, task in config.tasks.items() if any(map(_depends(config, task), paths)))
    readers = [_reads(config, task) for task in config.tasks.values()]
    loose = {path for name, path in paths.items() if not any(reads(name) for reads in readers)}
    return Affected(tasks=tasks, loose=tuple(sorted(_readable(config, loose))) if loose else ())


def _reads(config: Config, task: Task) -> Callable[[str], bool]:
    """Return what says of a path, relative to the root, whether the task's static stages read it."""
    excluded = excluder(config.root, config.exclude)
    globs = [compile_glob(pattern) for pattern in task.files if has_magic(pattern) or pattern.endswith("/")]
    single = {PurePosixPath(pattern).as_posix() for pattern in task.files}

    def reads(name: str) -> bool:
        if any(PurePosixPath(name).is_relative_to(test) for test in task.tests):
            return True
        selected = name in single or any(glob.match(name) for glob in globs)
        return selected and not excluded(config.root / name)

    return reads


def _depends(config: Config, task: Task) -> Callable[[str], bool]:
    """Return what says of a path whether the task reads it, or runs it as a script, a workload or a conftest."""
    reads = _reads(config, task)
    tests = [PurePosixPath(name) for name in task.tests]
    run = {name for workload in task.workloads for name in _modules(config, workload)}
    run |= {PurePosixPath(script.file).as_posix() for script in task.scripts}

    def depends(name: str) -> bool:
        path = PurePosixPath(name)
        above = path.name == "conftest.py" and any(test.is_relative_to(path.parent) for test in tests)
        # Globs of tests stand for the files that are there: of one that is gone nobody knows whose it was.
        gone = bool(tests) and _is_test(path) and not (config.root / name).exists()
        return above or gone or name in run or reads(name)

    return depends


def _is_test(path: PurePosixPath) -> bool:
    return path.suffix == ".py" and (path.name.startswith("test_") or path.stem.endswith("_test"))


def _modules(config: Config, workload: str) -> Iterable[str]:
    """Return where the module of a workload may stand."""
    parts = workload.partition(":")[0].split(".")
    for folder in (*config.source_roots, "src"):
        yield PurePosixPath(folder, *parts[:-1], f"{parts[-1]}.py").as_posix()
        yield PurePosixPath(folder, *parts, "__init__.py").as_posix()


def _readable(config: Config, loose: Iterable[Path]) -> Iterable[Path]:
    """Return those that are there and that `verify check` of the whole root would read."""
    wanted = {path for path in loose if path.suffix in (*PYTHON, NOTEBOOK) and path.is_file()}
    if not wanted:
        return ()
    root = Path(os.path.realpath(config.root))
    return wanted & set(walk(root, root=root, exclude=config.exclude))
