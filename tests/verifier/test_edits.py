"""Edits change what they name and no other byte."""

from __future__ import annotations

import ast
import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.edits import Edit, SourceText, UneditableError

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20), ENDS), max_size=8
)


@given(LINES, st.booleans())
def test_without_edits_the_bytes_are_the_same(lines: list[tuple[str, str]], mark: bool) -> None:
    body = "".join(map("".join, lines)).lstrip("\ufeff").encode()
    data = codecs.BOM_UTF8 * mark + body
    try:
        source = SourceText.of(data)
    except UneditableError:  # a line that looks like the declaration of another encoding
        assert b"coding" in body
        return
    assert source.edited(()) == data


@given(LINES, st.data())
def test_only_the_span_changes(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    text = "".join(map("".join, lines)).lstrip("\ufeff")
    if "coding" in text:
        return
    source = SourceText.of(text.encode())
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert source.edited([Edit(start, end, "x")]).decode() == text[:start] + "x" + text[end:]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"# coding: latin-1\nx = '\xe9'; y = 2\n", "iso-8859-1"),
        (b"# -*- coding: cp1252 -*-\nx = '\x80'; y = 2\n", "cp1252"),
        (codecs.BOM_UTF8 + "x = 'é'; y = 2\n".encode(), "utf-8"),
        ("# coding: shift_jis\nx = '日本'; y = 2\n".encode("shift_jis"), "shift_jis"),
    ],
)
def test_positions_of_cpython_are_found_in_every_encoding(data: bytes, encoding: str) -> None:
    source = SourceText.of(data)
    assert source.encoding == encoding
    last = ast.parse(data).body[-1]
    start, end = source.span(last)
    assert source.text[start:end] == source.code(last) == "y = 2"
    assert source.edited([Edit(start, end, "y = 3")]) == data.replace(b"y = 2", b"y = 3")


def test_a_form_feed_ends_no_line() -> None:
    source = SourceText.of(b"x = 1\n\x0c\ndef f():\n\ty = 2\n")
    inner = ast.parse(source.text).body[1].body[0]  # type: ignore[attr-defined]
    assert source.code(inner) == "y = 2"
    assert source.indent(inner.lineno) == "\t"


def test_new_lines_end_as_those_of_the_file() -> None:
    source = SourceText.of(b"a = 1\r\nb = 2\r\n")
    assert source.edited([Edit(7, 7, "c = 3\n")]) == b"a = 1\r\nc = 3\r\nb = 2\r\n"


def test_insertions_at_one_place_keep_their_order() -> None:
    source = SourceText.of(b"b\n")
    assert source.edited([Edit(0, 0, "x\n"), Edit(0, 0, "a\n")]) == b"x\na\nb\n"


def test_overlapping_edits_are_refused() -> None:
    with pytest.raises(UneditableError, match="overlap"):
        SourceText.of(b"abcdef").edited([Edit(0, 3, "x"), Edit(2, 4, "y")])
    with pytest.raises(UneditableError, match="overlap"):
        SourceText.of(b"abcdef").edited([Edit(0, 3, "x"), Edit(2, 2, "y")])


def test_what_the_encoding_cannot_write_is_refused() -> None:
    with pytest.raises(UneditableError, match="has no"):
        SourceText.of(b"# coding: latin-1\n").edited([Edit(0, 0, "\u20ac")])


def test_bytes_that_do_not_come_back_are_refused() -> None:
    with pytest.raises(UneditableError, match="decoded"):
        SourceText.of(b"x = '\xff'\n")
    with pytest.raises(UneditableError, match="same bytes"):
        SourceText.of(b"# coding: utf-7\nx = '+AGE-'\n")
