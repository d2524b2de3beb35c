"""Decides which files of a project are read when a name leads into them, and notes which were."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.parsing import parse
from stages._source.program.project import Project
from stages.logic.texts import TRAINING_TEXT

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping, Sequence

    from verifier.api import SourceFile


@dataclass(frozen=True, slots=True)
class Looked:
    """The files of a project that were looked into.

    Args:
        read: those that were read, or searched for a name.
        asked: those of which somebody asked whether they are worth reading.
    """

    read: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    def merge(self, other: Looked) -> None:
        """Take over what another process has looked into."""
        self.read.update(other.read)
        self.asked.update(other.asked)


def project_of(
    files: Sequence[SourceFile], awaited: Mapping[str, bytes] | None = None, looked: Looked | None = None
) -> Project:
    """Return the project that these files make, each parsed when somebody asks for it.

    Args:
        awaited: the files that count as read whatever leads into them, each with its code.
        looked: takes what is looked into.
    """
    looked = Looked() if looked is None else looked
    by_path = {file.path: file for file in files}

    def read(path: str) -> tuple[ast.Module, Sequence[str]] | None:
        looked.read.add(path)
        tree = parse(by_path[path])
        return None if tree is None else (tree, by_path[path].text_lines)

    def worth(path: str) -> bool:
        looked.asked.add(path)
        return is_worth_reading(by_path[path])

    def names(path: str, name: str) -> bool:
        looked.read.add(path)
        data = by_path[path].data or b""
        return name.encode() in data or b"import *" in data

    return Project(by_path, read, worth, names, awaited)


def is_worth_reading(file: SourceFile) -> bool:
    """Say whether a name that leads into a file has it read."""
    return file.path.endswith("__init__.py") or TRAINING_TEXT.within(file.data)
