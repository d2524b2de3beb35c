from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports import runner
from verifier.printable import cut, inert, one_line, visible


@given(st.text() | st.lists(st.sampled_from(runner.HOSTILE)).map("".join))
def test_what_is_visible_prints_and_commands_nobody(text):
    shown = visible(text)
    assert shown.isprintable()
    assert runner.commands(inert(shown)) == []


@given(st.lists(st.sampled_from(("::", "error", "\n", " ", "set-output name=a", "##", "[", "x"))).map("".join))
def test_no_line_of_an_inert_document_is_a_command(text):
    document = "\n".join(visible(line) for line in text.split("\n"))
    assert runner.commands(inert(document)) == []
    assert inert(document).count("\n") == document.count("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("\u202eabc", r"\u202eabc"),
        ("\ud800", r"\ud800"),
        ("##[error]", r"#\x23[error]"),
        ("## heading", "## heading"),
        ("naïve 数", "naïve 数"),
    ],
)
def test_what_does_not_print_is_escaped_and_the_rest_stays(text, shown):
    assert visible(text) == shown


def test_a_name_with_two_colons_within_a_line_stays():
    assert inert("tests/test_a.py::test_b") == "tests/test_a.py::test_b"
    assert inert("  ::error::x") == r"  \x3a:error::x"


def test_a_long_text_is_cut_and_says_by_how_much():
    assert cut("abcdef", 4) == "abcd… (2 more characters)"
    assert one_line("a \n b" + "c" * 10, 5) == "a bcc… (8 more characters)"
    huge = one_line("x" * 10_000_000)
    assert huge.endswith("… (9,999,400 more characters)")
    assert len(huge) < 700
