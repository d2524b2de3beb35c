"""Every refusal of CPython becomes a placed problem; what it accepts keeps its warnings."""

from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages._source.compiling import collector_paused, compile_source, source_text
from tests.stages.syntax.names.sources import source_file


def problem(data: bytes) -> tuple[str, int, int] | None:
    found = compile_source(source_file(data)).problem
    return None if found is None else (found.kind, found.line, found.column)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"x = (\n1,\n", ("syntax", 1, 5)),
        (b"if x:\n  a\n b\n", ("syntax", 3, 3)),
        (b"def f():\n\tx\n        y\n", ("syntax", 3, 1)),
        (b"return 1", ("syntax", 1, 1)),
        (b"def f(a):\n global a\n", ("syntax", 2, 2)),
        (b"x = 1\n\xff = 2\n", ("encoding", 2, 1)),
        (b"# coding: nonesuch\nx = 1\n", ("encoding", 1, 1)),
        (b"\xef\xbb\xbf# coding: latin-1\nx = 1\n", ("encoding", 1, 1)),
        (b"x = '\xe9'\n", ("encoding", 1, 6)),
        (b"# coding: rot13\nx = 1\n", ("encoding", 1, 1)),
        (b"# coding: hex\nx = 1\n", ("encoding", 1, 1)),
        (b"# coding: undefined\nx = 1\n", ("encoding", 1, 1)),
        (b"# coding: raw_unicode_escape\nx = '\\ud800'\n", ("encoding", 1, 1)),
        (b"x = 1\ny = '\0'\n", ("null-bytes", 2, 6)),
        (b"\xff\xfex\0", ("null-bytes", 1, 4)),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 7\n", ("lfs-pointer", 1, 1)),
    ],
)
def test_what_cpython_refuses_is_a_problem_at_its_place(data: bytes, expected: tuple[str, int, int]) -> None:
    assert problem(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xef\xbb\xbfx = 1\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"x = 1\r\ny = 2\r\n",
        "π = 3\n".encode(),
    ],
)
def test_what_cpython_accepts_is_no_problem(data: bytes) -> None:
    assert problem(data) is None


@pytest.mark.parametrize("text", ["(" * 300 + ")" * 300, "x" + ".a" * 200_000, "-" * 200_000 + "1"])
def test_code_too_deep_for_the_compiler_is_a_problem_and_no_traceback(text: str) -> None:
    found = compile_source(source_file(text)).problem
    assert found is not None
    assert found.kind in ("too-deep", "syntax")


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-32"])
def test_text_of_wide_characters_is_named(encoding: str) -> None:
    found = compile_source(source_file("x = 1\n".encode(encoding))).problem
    assert found is not None
    assert f"it is {encoding} text" in found.message


def test_an_unreadable_file_says_why() -> None:
    file = source_file("")
    file.data, file.problem = None, "cannot be read: Permission denied"
    found = compile_source(file).problem
    assert found is not None
    assert (found.kind, found.message) == ("unreadable", "cannot be read: Permission denied")


def test_warnings_are_kept_with_their_lines() -> None:
    kept = compile_source(source_file("x = 1\nif x is 'a':\n    pass\ny = '\\d'\n")).warnings
    escape = "DeprecationWarning" if sys.version_info < (3, 12) else "SyntaxWarning"
    assert [(warning.category, warning.line) for warning in kept] == [("SyntaxWarning", 2), (escape, 4)]


def test_a_stray_byte_in_a_comment_is_a_warning_since_imports_tolerate_it() -> None:
    compiled = compile_source(source_file(b"x = 1  # caf\xe9\n"))
    assert compiled.code is not None
    assert [warning.category for warning in compiled.warnings] == ["UnicodeWarning"]


def test_asserts_are_compiled_whatever_the_interpreter_was_started_with() -> None:
    code = compile_source(source_file("assert x\n")).code
    assert code is not None
    assert "x" in code.co_names


def test_text_is_what_python_reads() -> None:
    assert source_text(b"# coding: latin-1\r\nx = '\xe9'\r") == "# coding: latin-1\nx = 'é'\n"


def test_the_collector_is_as_before() -> None:
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_code_or_a_problem(data: bytes) -> None:
    compiled = compile_source(source_file(data))
    assert (compiled.code is None) is (compiled.problem is not None)
