"""A notebook as a source file: Python on the lines of the file."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

from tests.notebooks import R, as_written, code, markdown, notebook, write_notebook
from verifier.api import Config, SourceTree, Task
from verifier.notebooks.file import NotebookFile
from verifier.selection import check_sources, task_sources
from verifier.suppress import read_allows


def _file(tmp_path: Path, *cells: str, **fields: object) -> NotebookFile:
    return NotebookFile("a.ipynb", write_notebook(tmp_path / "a.ipynb", *cells, **fields))  # type: ignore[arg-type]


def test_every_statement_stands_on_the_line_where_the_file_has_it(tmp_path: Path) -> None:
    file = _file(tmp_path, "%time a = 1\nb = 2", "!ls\nc = 3")
    raw = file.absolute.read_text().split("\n")
    assert file.data is not None
    for node in ast.walk(ast.parse(file.data)):
        if isinstance(node, ast.Assign):
            assert ast.unparse(node) in raw[node.lineno - 1]
            assert raw[node.lineno - 1].index('"') + 1 + node.col_offset == raw[node.lineno - 1].index(
                ast.unparse(node)
            )
    assert [text.strip() for text in file.text_lines if text] == ["%time a = 1", "b = 2", "!ls", "c = 3"]


def test_the_digest_and_the_lines_are_those_of_the_file_itself(tmp_path: Path) -> None:
    file = _file(tmp_path, "a = 1")
    raw = file.absolute.read_bytes()
    assert (file.sha256, file.line_count) == (hashlib.sha256(raw).hexdigest(), raw.count(b"\n"))


def test_imports_from_the_future_come_first_whatever_their_cell(tmp_path: Path) -> None:
    file = _file(tmp_path, "x = 1", "from __future__ import annotations\ny: nope = 1")
    assert (file.data or b"").startswith(b"from __future__ import annotations\n")
    compile(file.data or b"", "a", "exec")


def test_an_indented_cell_is_read_as_ipython_reads_it(tmp_path: Path) -> None:
    file = _file(tmp_path, "x = 1", "    y = 2\n    z = 3")
    assert [ast.unparse(node) for node in ast.parse(file.data or b"").body] == ["x = 1", "if 1:\n    y = 2\n    z = 3"]


def test_characters_that_utf_8_cannot_hold_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text('{"cells": [{"cell_type": "code", "source": ["x = \'\\ud83d\'"]}]}')
    file = NotebookFile("a.ipynb", tmp_path / "a.ipynb")
    assert ast.unparse(ast.parse(file.data or b"")) == "x = '\\ud83d'"


def test_a_cell_that_is_left_out_keeps_its_names_bound(tmp_path: Path) -> None:
    file = _file(tmp_path, "a = = 1", "b = a")
    file.leave_out({1: ["a"]})
    assert [ast.unparse(node) for node in ast.parse(file.data or b"").body] == ["a = get_ipython()", "b = a"]


def test_a_notebook_of_another_language_is_no_python(tmp_path: Path) -> None:
    file = _file(tmp_path, "x <- 1", metadata=R)
    assert not file.is_python
    assert file.notebook is not None


def test_what_is_no_notebook_counts_as_python_that_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    file = NotebookFile("a.ipynb", tmp_path / "a.ipynb")
    assert (file.is_python, file.data, file.notebook) == (True, None, None)
    assert file.problem == f"it is no notebook: {file.refusal}"
    assert NotebookFile("b.ipynb", tmp_path / "b.ipynb").problem == "No such file or directory"


def test_check_finds_notebooks_where_it_finds_python(tmp_path: Path) -> None:
    for name in ("a.ipynb", "sub/b.ipynb", ".ipynb_checkpoints/a-checkpoint.ipynb", "out/c.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_notebook(tmp_path / name, "x = 1")
    (tmp_path / "a.py").write_text("")
    found = check_sources(tmp_path, [tmp_path], exclude=["out/**"])
    assert [file.path for file in found] == ["a.ipynb", "a.py", "sub/b.ipynb"]


def test_a_task_reads_the_notebooks_that_its_patterns_name(tmp_path: Path) -> None:
    write_notebook(tmp_path / "a.ipynb", "x = 1")
    sources = task_sources(Config(root=tmp_path), Task(name="T", title="T", files=("*.ipynb",)))
    assert [type(file) for file in sources] == [NotebookFile]


def test_an_allow_comment_counts_though_another_cell_does_not_parse(tmp_path: Path) -> None:
    comment = "# verify: allow[SCP001] bound by the host\nprint(x)"
    file = _file(tmp_path, "a = = 1\n'''", comment)
    (allow,) = read_allows(SourceTree(tmp_path, [file]), {"SCP001": "undefined-name"})
    assert (file.text_lines[allow.line - 1], file.text_lines[allow.covers - 1]) == tuple(comment.split("\n"))


@pytest.mark.parametrize("gap", ["\n\n", " "])
def test_lines_that_are_not_written_one_below_the_other_are_counted_as_if_they_were(tmp_path: Path, gap: str) -> None:
    document = as_written(notebook(markdown("t"), code("a = 1\nb = 2\n"))).decode()
    (tmp_path / "a.ipynb").write_text(document.replace('\\n",\n', f'\\n",{gap}'))
    file = NotebookFile("a.ipynb", tmp_path / "a.ipynb")
    lines = [line for line, text in enumerate(file.text_lines, 1) if text]
    assert lines == [lines[0], lines[0] + 1]
    assert file.line_count >= lines[1]
