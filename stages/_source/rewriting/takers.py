"""Whether another file of the project takes a name from a file, so that the file may not change what it means."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from verifier.api import Key, rest_of_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import FixContext, SourceFile

_FILES: Key[tuple[SourceFile, ...]] = Key("every file of the project, for fixes")


def taken_elsewhere(context: FixContext, path: str, names: Iterable[str]) -> bool:
    """Say whether any file seems to import one of the names from the file, or all of its names. Looks at text only."""
    wanted = "|".join(map(re.escape, sorted(names)))
    if not wanted:
        return False
    pure = PurePosixPath(path)
    stem = re.escape(pure.parent.name if pure.stem == "__init__" else pure.stem)
    taken = rf"\b(?:{wanted})\b"
    names_it = rf"\bfrom[ \t]+\.*(?:[\w.]+\.)?(?:{stem})?[ \t]+import\b(?:[^\n(]*|[ \t]*\([^)]*)(?:{taken}|\*)"
    pattern = re.compile(rf"{names_it}|\b{stem}\.(?:{wanted})\b".encode())
    return any(pattern.search(file.data or b"") for file in _files(context) if file.path != path)


def _files(context: FixContext) -> tuple[SourceFile, ...]:
    known = context.stash.get(_FILES)
    if known is None:
        known = (*context.sources.python(), *rest_of_project(context.config, context.sources))
        context.stash.put(_FILES, known)
    return known
