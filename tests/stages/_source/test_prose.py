"""What is left out of a text as prose: never anything that CPython reads as a name."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages._source.prose import code_of

ROOT = Path(__file__).parents[3]
WORD = re.compile(rb"\w+")


def names(data: bytes) -> set[bytes]:
    """Return every name that a program reads, binds, calls or takes from something."""
    found: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(data)
    for node in ast.walk(tree):
        for name in ("id", "attr", "arg", "name", "asname", "module"):
            value = getattr(node, name, None)
            if isinstance(value, str):
                found.update(value.split("."))
    return {name.encode() for name in found if name.isascii()} - {b""}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('"""autocast"""\nx = 1\n', "\n\nx = 1\n"),
        ("x = 1\n  # autocast\ny = 2\n", "x = 1\ny = 2\n"),
        ("x = 1  # autocast\n", "x = 1  # autocast\n"),  # the text before may be anything
        ('f"""{autocast}"""\n', "f\n{autocast}\n\n"),
        ('x = "autocast"\n', 'x = "autocast"\n'),
    ],
)
def test_comments_and_long_texts_are_prose(text: str, left: str) -> None:
    assert code_of(text.encode()).decode() == left


@pytest.mark.parametrize(
    "text",
    [
        "'''a'''\nx = \"\"\"autocast\"\"\"\n",
        '# """\nautocast()\n# """\n',
        'x = \'"""\'\nautocast()\ny = \'"""\'\n',
        'x = """a\\""" + autocast() + """b"""\n',
        'x = "a \\\n"""\nautocast()\n',
        'x = """never closed\n',
    ],
)
def test_where_quotes_may_not_open_a_text_everything_is_left(text: str) -> None:
    assert code_of(text.encode()) == text.encode()


def test_a_text_that_goes_on_over_lines_keeps_what_looks_like_a_comment() -> None:
    assert b"autocast" in code_of(b"x = 'a \\\n# autocast'\n")


PARTS = st.sampled_from(
    [
        *("autocast", "x = 1", "\n", "  ", "#", '"', "'", '"""', "'''", "\\", "\\\n", 'f"""', "{autocast}"),
        *("(", ")", "def f():\n    ", "# a 'b\n", ',\n"', 'r"""', "\r\n"),
    ]
)


@given(st.lists(PARTS, max_size=14))
def test_no_name_of_a_program_is_left_out(parts: list[str]) -> None:
    data = "".join(parts).encode()
    try:
        wanted = names(data)
    except (SyntaxError, ValueError):
        return
    assert wanted <= set(WORD.findall(code_of(data)))


def test_no_name_of_this_repository_is_left_out() -> None:
    for path in sorted((ROOT / "stages" / "_source").rglob("*.py")):
        data = path.read_bytes()
        assert names(data) <= set(WORD.findall(code_of(data))), path
