"""The statement that ends a process stands before the one that holds the line, wherever one can stand."""

from __future__ import annotations

import pytest

from verifier.mutation.reaching import marked
from verifier.sources import SourceFile

TEXT = """\
import os


@staticmethod
def f(x):
    if x:
        y = g(
            x,
        )
    elif x is None:
        y = 1
    return y
"""


@pytest.mark.parametrize(
    ("line", "before"),
    [
        (1, "import os"),
        (4, "@staticmethod"),
        (6, "    if x:"),
        (8, "        y = g("),
        (10, "    if x:"),
        (12, "    return y"),
    ],
)
def test_it_stands_before_the_innermost_statement_that_it_can_precede(tmp_path, line, before):
    (tmp_path / "a.py").write_text(TEXT)
    lines = marked(SourceFile("a.py", tmp_path / "a.py"), line).decode().splitlines()
    place = next(number for number, text in enumerate(lines) if "_exit" in text)
    assert lines[place + 1] == before
    assert [text for number, text in enumerate(lines) if number != place] == TEXT.splitlines()


def test_a_line_of_no_statement_cannot_be_marked(tmp_path):
    (tmp_path / "a.py").write_text(TEXT)
    assert marked(SourceFile("a.py", tmp_path / "a.py"), 2) is None
