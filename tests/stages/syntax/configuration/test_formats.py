"""A configuration file parses, or the place where it does not is told; nothing it describes is built."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.syntax.configuration.formats import Outcome, read_format

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def seen(path: str, text: str) -> tuple[str, int, int]:
    outcome = read_format(path, text.encode())
    return outcome.error, outcome.line, outcome.column


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.toml", "a = 1\r\n[b]\r\nc = [1,\r\n 2]\r\n"),
        ("a.json", '{"a": [NaN, 1e400, null]}'),
        ("a.json", "\ufeff{}"),
        ("a.yaml", "a: 1\n---\nb: !!python/object/apply:os.system [rm]\n...\n"),
        ("a.yml", "x: &x {a: 1}\ny: *x\nz: {<<: *x}\n"),
        ("a.YAML", "%YAML 1.2\n---\n- !tag {a: [1, 2]}\n"),
        ("empty.yaml", ""),
        ("empty.toml", ""),
        ("a.yaml", "run: ${{ matrix.os }}\n"),
    ],
)
def test_what_parses_is_silent(path: str, text: str) -> None:
    outcome = read_format(path, text.encode())
    assert (outcome.error, outcome.template) == ("", False)


@pytest.mark.parametrize(
    ("path", "text", "error", "line", "column"),
    [
        ("a.toml", "a = 1\nb = x\n", "Invalid value", 2, 5),
        ("a.toml", "a = 1\na = 2\n", "Cannot overwrite a value", 2, 6),
        ("a.toml", "a = 1\nb = [1,\n", "Invalid value at the end of the file", 2, 1),
        ("a.json", '{"a": 1\n "b": 2}', "Expecting ',' delimiter", 2, 2),
        ("a.json", " \n", "the file is empty", 2, 1),
        ("a.json", '{"a": 1}\n{"b": 2\n', "Extra data", 2, 1),
        ("a.yaml", "a: 1\nb: c: d\n", "mapping values are not allowed", 2, 5),
        ("a.yaml", "a: &x 1\n---\nb: *x\n", "the alias *x stands for nothing", 3, 4),
        ("a.yaml", "a: 1\nb: \x01\n", "U+0001 is not allowed in YAML", 2, 1),
        ("a.yaml", "a:\n\tb: 1\n", "found character that cannot start any token", 2, 1),
    ],
)
def test_an_error_has_its_place(path: str, text: str, error: str, line: int, column: int) -> None:
    said, *place = seen(path, text)
    assert error in said
    assert place == [line, column]


def test_bytes_that_are_no_text_have_their_place() -> None:
    outcome = read_format("a.toml", b"a = 1\nb = '\xff'\n")
    assert (outcome.error, outcome.line, outcome.column) == ("byte 0xff is not valid UTF-8", 2, 6)


@pytest.mark.parametrize("text", ['{"a": 1, // c\n "b": "//"}', '{"a": [1, 2,],}', '/* x */ {"a": "/* y */"}'])
def test_json_with_comments_is_told_apart(text: str) -> None:
    assert read_format("a.json", text.encode()).comments


@pytest.mark.parametrize("text", ["{'a': 1}", '{"a": 1 // c', '{"a" 1} // c', ""])
def test_json_that_comments_do_not_explain_is_not(text: str) -> None:
    outcome = read_format("a.json", text.encode())
    assert outcome.error
    assert not outcome.comments


def test_lines_of_json_are_a_format_of_their_own() -> None:
    assert read_format("data.json", b'{"a": 1}\n\n{"a": 2}\n') == Outcome(format="JSON lines")


@pytest.mark.parametrize(
    ("path", "text"),
    [("a.yaml", "{% if x %}\na: 1\n{% endif %}\n"), ("b.json", '{"a": {{ a }}}'), ("c.toml", "a = {{ a }}")],
)
def test_templates_are_not_judged(path: str, text: str) -> None:
    outcome = read_format(path, text.encode())
    assert (outcome.template, outcome.error) == (True, "")


@pytest.mark.parametrize("path", ["a.json", "a.toml", "a.yaml"])
def test_brackets_a_hundred_thousand_deep_end_soon(path: str) -> None:
    begin = time.monotonic()
    text = ("a = " if path == "a.toml" else "") + "[" * 100_000
    assert read_format(path, text.encode()).error == "nested too deeply to be read"
    assert time.monotonic() - begin < 5


def test_a_number_of_ten_thousand_digits_is_an_error() -> None:
    assert "4300 digits" in read_format("a.json", b"1" * 10_000).error


@given(DOCUMENTS)
def test_whatever_json_writes_is_read(document: object) -> None:
    assert not read_format("a.json", json.dumps(document).encode()).error


@given(st.binary(max_size=200), st.sampled_from(["a.toml", "a.json", "a.yaml"]))
def test_any_bytes_give_an_answer_with_a_place_inside_the_file(data: bytes, path: str) -> None:
    outcome = read_format(path, data)
    assert 1 <= outcome.line <= data.count(b"\n") + data.count(b"\r") + len(data) + 2
    assert outcome.column >= 1
