"""A file is read once, and its lines are those that CPython counts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from verifier.sources import SourceFile, SourceTree


def _file(root: Path, data: bytes) -> SourceFile:
    (root / "a.py").write_bytes(data)
    return SourceFile("a.py", root / "a.py")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", [""]),
        (b"a\nb\r\nc\rd", ["a", "b", "c", "d"]),
        (b"a\x0cb\n", ["a\x0cb", ""]),
        (b"# coding: latin-1\nx = '\xe9'", ["# coding: latin-1", "x = 'é'"]),
        (b"# coding: no-such\n", ["# coding: no-such", ""]),
    ],
)
def test_lines_are_split_and_decoded_as_cpython_does(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    assert _file(tmp_path, data).text_lines == lines


def test_digest_and_line_count_are_those_of_the_bytes(tmp_path: Path) -> None:
    file = _file(tmp_path, b"a\nb")
    assert (file.sha256, file.line_count) == (hashlib.sha256(b"a\nb").hexdigest(), 2)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert SourceFile("gone.py", tmp_path / "gone.py").problem == "is not a regular file"


def test_the_tree_is_in_path_order_and_knows_python(tmp_path: Path) -> None:
    names = ("b.py", "a.txt", "a.pyi")
    for name in names:
        (tmp_path / name).write_text("")
    tree = SourceTree(tmp_path, [SourceFile(name, tmp_path / name) for name in names])
    assert [file.path for file in tree] == ["a.pyi", "a.txt", "b.py"]
    assert [file.path for file in tree.python()] == ["a.pyi", "b.py"]
    assert tree.get("nope.py") is None
