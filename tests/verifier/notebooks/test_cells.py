"""Cells, and the lines of the file on which they stand."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notebooks import R, as_written, code, markdown, notebook
from verifier.notebooks.cells import read_notebook
from verifier.notebooks.model import NotebookError

TEXTS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)


def test_cells_are_counted_among_the_code_cells_and_know_their_lines() -> None:
    data = as_written(notebook("a = 1\nb = 2\n", markdown("# Title"), code("c = 3", id="abc")))
    first, second = read_notebook(data).cells
    lines = data.decode().split("\n")
    assert [(cell.number, cell.index, cell.id) for cell in (first, second)] == [(1, 0, None), (2, 2, "abc")]
    assert "b = 2" in lines[first.line]
    assert "c = 3" in lines[second.line - 1]


@given(st.lists(st.lists(TEXTS, max_size=4), max_size=4))
def test_every_source_line_is_found_on_its_line_of_the_file(cells: list[list[str]]) -> None:
    data = as_written(notebook(*("".join(f"{line}\n" for line in cell) for cell in cells)))
    lines = data.decode().split("\n")
    read = read_notebook(data)
    assert [cell.lines for cell in read.cells] == [tuple(cell) for cell in cells]
    for cell in read.cells:
        for offset, text in enumerate(cell.lines):
            assert json.loads(lines[cell.line - 1 + offset].strip().removesuffix(",")) == f"{text}\n"


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=4), max_size=4))
def test_a_notebook_on_one_line_is_read_as_if_written_line_by_line(cells: list[list[str]]) -> None:
    document = notebook(*({**code(""), "source": "\n".join(cell)} for cell in cells))
    read = read_notebook(json.dumps(document).encode())
    assert [[*cell.lines] for cell in read.cells] == [cell[:-1] if cell[-1] == "" else cell for cell in cells]


def test_a_cell_is_found_by_each_of_its_lines_and_by_no_other() -> None:
    read = read_notebook(as_written(notebook("a\nb", "", "c")))
    found = {line: cell.number for line in range(1, read.line_count + 1) if (cell := read.cell_at(line))}
    first, _, third = read.cells
    assert found == {first.line: 1, first.line + 1: 1, third.line: 3}


def test_format_3_keeps_its_cells_in_worksheets() -> None:
    old = {"cell_type": "code", "input": ["x = 1\n", "y = 2"], "language": "python", "outputs": []}
    data = as_written({"metadata": {"name": ""}, "nbformat": 3, "worksheets": [{"cells": [old]}, {"cells": [old]}]})
    assert [cell.lines for cell in read_notebook(data).cells] == [("x = 1", "y = 2")] * 2


@pytest.mark.parametrize(
    ("metadata", "foreign", "python"),
    [
        ({}, "", None),
        ({"language_info": {"name": "python", "version": "3.12.1"}}, "", 12),
        ({"kernelspec": {"name": "python3", "language": "python"}}, "", None),
        ({"language_info": {"name": "python", "version": "2.7.18"}}, "Python 2", None),
        ({"kernelspec": {"name": "python2"}}, "Python 2", None),
        ({"language_info": {"name": "julia", "version": "1.9"}}, "julia", None),
        (R, "R", None),
        ({"language_info": None, "kernelspec": []}, "", None),
    ],
)
def test_the_kernel_says_what_the_cells_are(metadata: dict[str, object], foreign: str, python: int | None) -> None:
    read = read_notebook(as_written(notebook("x", metadata=metadata)))
    assert (read.foreign, read.python) == (foreign, python)


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"", 1, "it is empty"),
        (b'{"cells": [\n<<<<<<< HEAD\n', 2, "it is not JSON: Expecting value"),
        (b"[1, 2]", 1, "it is JSON, but has no list of cells"),
        (b'{"cells": {}}', 1, "it is JSON, but has no list of cells"),
        (b'{"cells": [3]}', 1, "its cell 1 has no type"),
        (b'{"cells": [{"cell_type": "code", "source": [3]}]}', 1, "the source of its cell 1 is not text"),
        (b'{"cells": [{"cell_type": "code", "source": {}}]}', 1, "the source of its cell 1 is not text"),
        (b'{\n"\xff": 1}', 2, "byte 0xff is not valid UTF-8"),
        (b"[" * 100_000, 1, "it is nested too deeply"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", 1, "it is a Git LFS pointer"),
    ],
)
def test_what_is_no_notebook_is_refused_with_the_place_and_the_reason(data: bytes, line: int, said: str) -> None:
    with pytest.raises(NotebookError, match=re.escape(said)) as refused:
        read_notebook(data)
    assert refused.value.line == line


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["cells", "source", "cell_type", "metadata", "worksheets", "tags", "id", "x"]), inner
            )
        ),
    )
)
def test_any_json_is_a_notebook_or_refused(document: object) -> None:
    with suppress(NotebookError):
        assert read_notebook(json.dumps(document).encode()).line_count > 0


VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["source", "outputs", "a"]), inner),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.lists(TEXTS, max_size=3), VALUES), max_size=3), VALUES)
def test_lines_are_those_of_the_notebook_written_with_all_that_cells_have_put_out(
    cells: list[tuple[list[str], object]], widgets: object
) -> None:
    written = [code("\n".join(lines)) | {"outputs": value, "attachments": value} for lines, value in cells]
    whole = notebook(*written) | {"metadata": {"widgets": widgets}}
    root = {**whole, "cells": [{**cell, "source": "".join(cell["source"])} for cell in written]}
    lines = json.dumps(whole, indent=1, ensure_ascii=False).split("\n")
    read = read_notebook(json.dumps(root).encode())
    for cell in read.cells:
        for offset, text in enumerate(cell.lines):
            assert json.loads(lines[cell.line - 1 + offset].strip().removesuffix(",")).rstrip("\n") == text


@given(VALUES)
def test_places_are_kept_whatever_stands_beside_the_source(value: object) -> None:
    root = notebook("a = 1\nb = 2\n", "c = 3\n")
    for cell in root["cells"]:
        cell |= {"outputs": value, "metadata": {"tags": ["x"], "more": value}}
    data = json.dumps(root, indent=1).encode()
    lines = data.decode().split("\n")
    for cell in read_notebook(data).cells:
        assert cell.tags == {"x"}
        assert [json.loads(lines[cell.line - 1 + at].strip().removesuffix(",")) for at in range(len(cell.lines))] == [
            f"{line}\n" for line in cell.lines
        ]
