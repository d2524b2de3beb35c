"""What a mutation operator is: it knows one hazard, and where in a working file that hazard can be put."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.edits import Edit
    from verifier.sources import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One hazard at one place of a file.

    Args:
        line: the first line of the place, in the file as it is; `end_line` the last.
        visible: whether a reader of source text could see the hazard there, whatever the rules of this version do.
    """

    edits: tuple[Edit, ...]
    line: int
    end_line: int
    visible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationOperator:
    """A way to put one hazard into working code.

    Args:
        name: kebab-case, unique among all plugins.
        does: what it changes, in one sentence.
        codes: of the rules that name the hazard.
        find: yields the mutations of one Python file; it must not raise for any file, and none may change nothing.
    """

    name: str
    does: str
    codes: tuple[str, ...]
    find: Callable[[SourceFile], Iterable[Mutation]]
