"""Cells that CPython refuses do not keep the others from being read."""

from __future__ import annotations

import ast
from pathlib import Path

from stages._source import notebooks
from stages._source.compiling import compile_source
from stages._source.notebooks import RefusedCell, cell_at, cells_of, is_left_out, settle
from tests.notebooks import write_notebook
from verifier.api import NotebookFile, SourceFile


def _file(tmp_path: Path, *cells: str) -> NotebookFile:
    return NotebookFile("a.ipynb", write_notebook(tmp_path / "a.ipynb", *cells))


def _settled(file: SourceFile) -> tuple[RefusedCell, ...]:
    return settle([file], jobs=1, progress=lambda _line: None).get(file.path, ())


def test_each_cell_that_is_refused_is_named_with_its_line_of_the_file(tmp_path: Path) -> None:
    file = _file(tmp_path, "a = 1", "b = 1\nc = = 2", "d = 3", "for")
    found = _settled(file)
    assert [(cell.number, file.text_lines[cell.problem.line - 1]) for cell in found] == [(2, "c = = 2"), (4, "for")]
    assert compile_source(file).problem is None
    assert [is_left_out(file, cell) for cell in cells_of(file)] == [False, True, False, True]


def test_what_a_refused_cell_may_bind_stays_bound_and_nothing_else_is_changed(tmp_path: Path) -> None:
    file = _file(tmp_path, "import torch", "x = torch.y(\nmodel = = torch", "print(model)")
    _settled(file)
    bound = [
        target.id
        for node in ast.parse(file.data or b"").body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert bound == ["x", "model"]


def test_a_notebook_in_order_is_left_alone(tmp_path: Path) -> None:
    file = _file(tmp_path, "x = await f()", "async with a:\n    pass", "return_ = 1")
    before = file.data
    assert _settled(file) == ()
    assert file.data is before


def test_what_is_an_error_in_a_cell_too_is_one_here(tmp_path: Path) -> None:
    assert [cell.number for cell in _settled(_file(tmp_path, "return 1", "yield", "break"))] == [1, 2, 3]


def test_a_large_notebook_is_compiled_where_it_can_be_killed(tmp_path: Path) -> None:
    file = _file(tmp_path, f"x = '{'y' * 70_000}'", "x = = 1")
    assert [cell.number for cell in _settled(file)] == [2]
    assert compile_source(file).problem is None


def test_cells_that_compile_one_by_one_and_not_together_are_told_at_the_later_one(tmp_path: Path) -> None:
    file = _file(tmp_path, "x = 1", "if x:\n    global x", "y = x")
    assert [cell.number for cell in _settled(file)] == [2]
    assert compile_source(file).problem is None


def test_other_files_have_no_cells(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = = 1")
    file = SourceFile("a.py", tmp_path / "a.py")
    assert (_settled(file), cells_of(file), cell_at(file, 1)) == ((), (), None)


def test_a_line_leads_to_its_cell(tmp_path: Path) -> None:
    file = _file(tmp_path, "x = 1", "y = 2")
    line = file.text_lines.index("y = 2") + 1
    assert (cell_at(file, line), cell_at(file, 1)) == (cells_of(file)[1], None)


def test_the_names_that_ipython_gives_are_known() -> None:
    assert {"get_ipython", "display", "In", "Out", "_", "__", "_i12", "_7", "exit", "quit"} <= notebooks.GIVEN_NAMES
