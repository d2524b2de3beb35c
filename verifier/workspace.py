"""The files of a project as several tasks share them: walked once, each read once, whoever asks first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.discovery import Paths, walk
from verifier.git import commit_and_dirty
from verifier.selection import Closed, relative_to, source_file, task_tree

if TYPE_CHECKING:
    from verifier.model.task import Config, Task
    from verifier.sources import SourceFile, SourceTree

Checkout = tuple[str | None, bool | None]
Walked = tuple[Paths, Sequence[tuple[Path, OSError]]]


class Workspace:
    """The project of one command line. What it has read it keeps, so every task is judged on the same bytes.

    Args:
        runs_code: some stage does. That takes long, and may change files: then every task has the tree as it is now.
    """

    def __init__(self, config: Config, *, runs_code: bool) -> None:
        self._config = config
        self._runs_code = runs_code
        self._files: dict[str, SourceFile] = {}
        self._checkout: Checkout | None = None
        self._found: Walked | None = None

    def sources(self, task: Task) -> SourceTree:
        """Return the files of a task.

        Raises:
            UsageError: a file vanished since the configuration was checked.
        """
        if self._runs_code:
            self._files.clear()
            self._checkout = self._found = None
        paths, unlisted = self._walked()
        closed = Closed(self._config.root)
        add = closed.when(task.files)
        for folder, error in unlisted:
            add(folder, error)
        read = self._reader()
        tree = task_tree(self._config, task, paths, closed, read)
        tree.walked = paths
        tree.file = read
        tree.checkout = self._asked()
        return tree

    def _reader(self) -> Callable[[str], SourceFile]:
        """Return what gives one task its files: read once for all tasks, yet objects of its own.

        What stages keep of a file as long as it lives, syntax trees above all, is gone with the task.
        """
        given: dict[str, SourceFile] = {}
        root = self._config.root

        def read(path: str) -> SourceFile:
            if path not in given:
                known = self._files.get(path)
                if known is None:
                    known = self._files[path] = source_file(path, root / path)
                given[path] = known.again()
            return given[path]

        return read

    def _asked(self) -> Checkout:
        if self._checkout is None:
            self._checkout = commit_and_dirty(self._config.root)
        return self._checkout

    def _walked(self) -> Walked:
        if self._found is None:
            self._found = self._walk()
        return self._found

    def _walk(self) -> Walked:
        root = self._config.root
        unlisted: list[tuple[Path, OSError]] = []

        def note(folder: Path, error: OSError) -> None:
            unlisted.append((folder, error))

        found = walk(root, root=root, exclude=self._config.exclude, unlisted=note)
        return Paths(relative_to(root, path) for path in found), unlisted
