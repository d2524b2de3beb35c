"""Makes every mutant of a task: one hazard in one file, with what it changes and where its lines were before."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.edits import SourceText
from verifier.sources import SourceFile

if TYPE_CHECKING:
    from verifier.model.mutation import Mutation, MutationOperator
    from verifier.sources import SourceTree

_CONTEXT_LINES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mutant.

    Args:
        line: of the place, in the file as it is; `end_line` its last.
        codes: of the rules that name the hazard.
        data: the file with the hazard in it.
        line_before: for each line of `data`, from 1, the line of the file as it is that it stands for.
    """

    number: int
    operator: str
    does: str
    codes: tuple[str, ...]
    path: str
    line: int
    end_line: int
    visible: bool
    data: bytes
    diff: str
    line_before: tuple[int, ...]

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def families(self) -> frozenset[str]:
        return frozenset(code[:3] for code in self.codes)


def mutants_of(sources: SourceTree, operators: Sequence[MutationOperator]) -> tuple[Mutant, ...]:
    """Return every mutant, by file and line; two operators that make the same text give one, the first's."""
    found: list[Mutant] = []
    for file in sources.python():
        if file.data is None:
            continue
        seen: set[bytes] = set()
        made = [(operator, mutation) for operator in operators for mutation in operator.find(file)]
        made.sort(key=lambda pair: (pair[1].line, pair[1].end_line))
        for operator, mutation in made:
            data = SourceText.of(file.data).edited(mutation.edits)
            if data not in seen:
                seen.add(data)
                found.append(_mutant(len(found) + 1, operator, mutation, file, data))
    return tuple(found)


def _mutant(number: int, operator: MutationOperator, mutation: Mutation, file: SourceFile, data: bytes) -> Mutant:
    before, after = file.text_lines, SourceFile.lines_of(data)
    return Mutant(
        number=number,
        operator=operator.name,
        does=operator.does,
        codes=operator.codes,
        path=file.path,
        line=mutation.line,
        end_line=mutation.end_line,
        visible=mutation.visible,
        data=data,
        diff=_diff(before, after, file.path),
        line_before=tuple(_lines_before(before, after)),
    )


def _diff(before: Sequence[str], after: Sequence[str], path: str) -> str:
    lines = difflib.unified_diff(before, after, path, path, n=_CONTEXT_LINES, lineterm="")
    return "\n".join(list(lines)[2:])


def _lines_before(before: Sequence[str], after: Sequence[str]) -> Iterator[int]:
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, new_start, new_end in matcher.get_opcodes():
        last = max(start, end - 1)
        yield from (min(start + offset, last) + 1 for offset in range(new_end - new_start))
