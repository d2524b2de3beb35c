"""Decides which files of a project are read when a name leads into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.parsing import parse
from stages._source.program.project import Project
from stages.logic.texts import TRAINING_TEXT

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping, Sequence

    from verifier.api import SourceFile


def project_of(files: Sequence[SourceFile], awaited: Mapping[str, bytes] | None = None) -> Project:
    """Return the project that these files make, each parsed when somebody asks for it.

    Args:
        awaited: the files that count as read whatever leads into them, each with its code.
    """
    by_path = {file.path: file for file in files}

    def read(path: str) -> tuple[ast.Module, Sequence[str]] | None:
        tree = parse(by_path[path])
        return None if tree is None else (tree, by_path[path].text_lines)

    def worth(path: str) -> bool:
        return path.endswith("__init__.py") or TRAINING_TEXT.within(by_path[path].data)

    def names(path: str, name: str) -> bool:
        data = by_path[path].data or b""
        return name.encode() in data or b"import *" in data

    return Project(by_path, read, worth, names, awaited)
