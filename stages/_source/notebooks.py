"""Decides which cells of a notebook CPython refuses, so that the data of its file is what the other cells say.

What any stage needs of notebooks is here. After `settle`, a notebook's `data` compiles and its lines are those of the
file; `cells_of` and `cell_at` lead from there to cells.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.bytecode import read
from stages._source.compiling import Compiled, compile_bytes
from stages._source.patterns import late
from stages._source.workers import Died, map_forked
from verifier.api import NotebookFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType

    from stages._source.records import CompileProblem
    from verifier.api import Cell, SourceFile

_COUNTED = range(1, 1000)
# what IPython binds before the first cell runs
GIVEN_NAMES = frozenset(
    ["get_ipython", "display", "In", "Out", "exit", "quit", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh"]
    + ["_exit_code", "__IPYTHON__", "__session__", "__vsc_ipynb_file__"]
    + [f"_{number}" for number in _COUNTED]
    + [f"_i{number}" for number in _COUNTED]
)
_TAME = 64 * 1024  # bytes: larger ones are compiled where they can be killed
_WORD = late(r"(?<![.\w])[^\W\d]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCell:
    """A cell that CPython refuses; `problem` stands at lines of the file."""

    number: int
    problem: CompileProblem


@dataclass(frozen=True, slots=True)
class _Refusals:
    cells: tuple[RefusedCell, ...] = ()
    bound: dict[int, list[str]] | None = None


def cells_of(file: SourceFile | None) -> tuple[Cell, ...]:
    """Return the code cells of a notebook in their order; none of any other file."""
    return file.notebook.cells if isinstance(file, NotebookFile) and file.notebook is not None else ()


def cell_at(file: SourceFile, line: int) -> Cell | None:
    """Return the code cell of which a line of the file is one."""
    return file.notebook.cell_at(line) if isinstance(file, NotebookFile) and file.notebook is not None else None


def is_left_out(file: SourceFile | None, cell: Cell) -> bool:
    """Return whether CPython refuses a cell, so that the data of the file is without it."""
    return isinstance(file, NotebookFile) and cell.number in file.left_out


def settle(
    files: Iterable[SourceFile], *, jobs: int, progress: Callable[[str], None]
) -> dict[str, tuple[RefusedCell, ...]]:
    """Take the cells that CPython refuses out of the data of every notebook, and return them by path.

    Names that such a cell may bind stay bound. A notebook that is settled already costs nothing.
    """
    notebooks = [file for file in files if isinstance(file, NotebookFile) and file.data is not None]
    tame = [file for file in notebooks if len(file.data or b"") <= _TAME]
    wild = [file for file in notebooks if len(file.data or b"") > _TAME]
    found: list[tuple[NotebookFile, _Refusals]] = [(file, _refusals(file)) for file in tame]
    for index, result in map_forked(lambda index: _refusals(wild[index]), len(wild), jobs, progress) if wild else ():
        if not isinstance(result, Died):  # one that kills its worker is found again, and named, where files are read
            found.append((wild[index], result))
    for file, refusals in found:
        if refusals.bound:
            file.leave_out(refusals.bound)
    return {file.path: refusals.cells for file, refusals in found if refusals.cells}


def _refusals(file: NotebookFile) -> _Refusals:
    whole = _compiled(file, file.data or b"")
    if whole.code is not None:
        return _Refusals()
    refused: dict[int, CompileProblem] = {}
    codes: dict[int, CodeType] = {}
    for cell in cells_of(file):
        compiled = _compiled(file, file.part(cell.number))
        if compiled.code is not None:
            codes[cell.number] = compiled.code
        elif compiled.problem is not None:
            refused[cell.number] = compiled.problem
    if not refused and whole.problem is not None and (last := cell_at(file, whole.problem.line)) is not None:
        refused[last.number] = whole.problem  # each cell compiles, but not after the others
        codes.pop(last.number)
    elsewhere = frozenset[str]().union(*(read(code).bindings for code in codes.values()))
    cells = tuple(RefusedCell(number=number, problem=problem) for number, problem in refused.items())
    return _Refusals(cells, {number: _may_bind(file, number, elsewhere) for number in refused})


def _compiled(file: NotebookFile, data: bytes) -> Compiled:
    return compile_bytes(data, file.path)


def _may_bind(file: NotebookFile, number: int, elsewhere: frozenset[str]) -> list[str]:
    """Return the names in a cell that no other cell binds: it is not known which of them it binds itself."""
    text = "\n".join(cells_of(file)[number - 1].lines)
    names = dict.fromkeys(_WORD.findall(text))
    return [name for name in names if name.isidentifier() and not keyword.iskeyword(name) and name not in elsewhere]
