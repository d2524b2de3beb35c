"""Decides how far ruff's own removal of unused imports may be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages._source.ruff.diagnostics import Diagnostic
    from verifier.api import SourceFile

UNUSED = "F401"
_QUOTED = late(r"`([^`]+)`")


def own_modules(files: Iterable[SourceFile]) -> frozenset[str]:
    """Return every name that an import of project code may begin with: files, and the folders above them."""
    parts = (part for file in files for part in file.path.split("/"))
    return frozenset(part.removesuffix(".py") for part in parts)


def loads_project(module: str, own: frozenset[str]) -> bool:
    """Say whether an import loads project code, which may be there for what it registers."""
    return module.startswith(".") or module.partition(".")[0] in own


def removal(group: Sequence[Diagnostic], own: frozenset[str], most: int) -> Literal["safe", "unsafe"] | None:
    """Return how safe it is to remove the unused imports of a finding; None where ruff would not, or it has others."""
    if any(item.code != UNUSED or not item.mendable for item in group) or len(group) > most:
        return None
    quoted = [_QUOTED.search(item.message) for item in group]
    return "safe" if all(found and not loads_project(found[1], own) for found in quoted) else "unsafe"
