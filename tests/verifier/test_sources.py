"""A file is read once, and its lines are those that CPython counts."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from verifier.sources import SourceFile, SourceTree, UnlistedFolder, read_regular


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
    (tmp_path / "link.py").symlink_to("nowhere.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "huge.py").touch()
    os.truncate(tmp_path / "huge.py", 1 << 40)
    assert {
        name: SourceFile(f"{name}.py", tmp_path / f"{name}.py").problem
        for name in ("gone", "link", "loop", "zero", "folder", "huge")
    } == {
        "gone": "No such file or directory",
        "link": "it is a link that leads nowhere",
        "loop": "Too many levels of symbolic links",
        "zero": "it is not a regular file",
        "folder": "it is not a regular file",
        "huge": "it is larger than 64 MiB",
    }


def test_a_limit_is_the_last_size_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 5000)
    assert read_regular(tmp_path / "a", 5000) == b"x" * 5000
    with pytest.raises(OSError, match="larger than"):
        read_regular(tmp_path / "a", 4999)


@pytest.mark.parametrize("encoding", ["rot13", "undefined", "idna", "hex"])
def test_lines_of_an_encoding_that_is_none_of_text_are_shown_as_utf_8(tmp_path: Path, encoding: str) -> None:
    assert _file(tmp_path, f"# coding: {encoding}\nx".encode()).text_lines == [f"# coding: {encoding}", "x"]


@pytest.mark.parametrize(
    ("name", "text", "named", "expected"),
    [
        ("train", "x = 1", True, True),
        ("train", "x = 1", False, False),
        ("train.sh", "#!/usr/bin/env python3\n", True, True),
        ("train.sh", "#!/bin/sh\n", True, False),
        ("notes.txt", "", True, False),
        ("a.pyw", "", False, True),
    ],
)
def test_a_script_counts_as_python_where_it_was_named(
    tmp_path: Path, name: str, text: str, named: bool, expected: bool
) -> None:
    (tmp_path / name).write_text(text)
    assert SourceFile(name, tmp_path / name, named=named).is_python is expected


def test_what_was_not_read_and_is_no_python_file_is_listed_apart(tmp_path: Path) -> None:
    names = ("gone.py", "gone.txt")
    folder = UnlistedFolder("shut", tmp_path / "shut", "Permission denied")
    tree = SourceTree(tmp_path, [*(SourceFile(name, tmp_path / name) for name in names), folder])
    assert [file.path for file in tree.python()] == ["gone.py"]
    assert [file.path for file in tree.others_unread()] == ["gone.txt", "shut"]
    assert folder.problem == "it is a folder that cannot be listed: Permission denied"


def test_the_tree_is_in_path_order_and_knows_python(tmp_path: Path) -> None:
    names = ("b.py", "a.txt", "a.pyi")
    for name in names:
        (tmp_path / name).write_text("")
    tree = SourceTree(tmp_path, [SourceFile(name, tmp_path / name) for name in names])
    assert [file.path for file in tree] == ["a.pyi", "a.txt", "b.py"]
    assert [file.path for file in tree.python()] == ["a.pyi", "b.py"]
    assert tree.get("nope.py") is None
