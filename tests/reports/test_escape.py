from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reports.escape import code, fence, html_text, paragraphs, prose
from tests.reports.parsed import blocks, hostile, plain, shape
from verifier.api import cut, one_line, visible


@given(hostile())
def test_prose_is_one_paragraph_and_nothing_else(text):
    tokens = blocks(str(prose(text)))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children} <= {"text", "code_inline", "text_special"}


@given(hostile())
def test_prose_reads_as_what_was_written(text):
    shown = plain(blocks(str(prose(text)))[1])
    assert shown.replace("`", "").replace(" ", "") == one_line(text).replace("`", "").replace(" ", "")


@given(hostile())
def test_a_code_span_holds_exactly_the_visible_text(text):
    (span,) = blocks(f"{code(text)}")[1].children
    assert span.type == "code_inline"
    assert span.content.strip() == visible(cut(text, 200)).strip()


@given(hostile(), hostile())
@example("a\\|b", "a\\|b")
@example("|", "``")
def test_cells_of_code_and_prose_keep_the_row(left, right):
    row = f"| a | b |\n|---|---|\n| {code(left, cell=True)} | {prose(right, cell=True)} |\n"
    assert shape(row).tables == ((2, 2),)
    cells = [token for token in blocks(row) if token.type == "inline"][2:]
    assert cells[0].children[0].content.strip() == visible(cut(left, 200)).strip()


@given(hostile())
@example("```\n# out")
@example("x\n`````\n")
def test_a_fence_holds_its_text_and_ends_where_it_should(text):
    tokens = blocks(f"{fence(text)}\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


@given(hostile())
def test_paragraphs_make_no_headings_tables_html_or_links(text):
    found = shape(str(paragraphs(text)))
    assert (found.headings, found.tables, found.html, found.links) == ((), (), (), ())


@given(st.text())
def test_html_text_closes_no_element(text):
    assert not set("<>") & set(html_text(text))
    assert html_text(text).isprintable()


@given(st.text())
def test_visible_text_prints_and_can_be_written(text):
    assert visible(text).isprintable()
    visible(text).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain words, nothing else.", "plain words, nothing else."),
        ("_training_step() uses it", "`_training_step()` uses it"),
        ("a class_ and a _", "a `class_` and a `_`"),
        ("see utils/a_b.py, then go", "see `utils/a_b.py`, then go"),
        ("`int` of <unknown>", "`int` of `<unknown>`"),
        ("a < b and c > d", "a < b and c > d"),
        ("- no item", r"\- no item"),
        ("1. no item", r"1\. no item"),
        ("# no heading", r"\# no heading"),
        ("one ` alone", r"one \` alone"),
        ("a | b", r"a \| b"),
        ("red \x1b[31m", r"red \\x1b\[31m"),
        ("two\nlines", "two lines"),
        ("1.5x is fine", "1.5x is fine"),
        ("Syntax & Build", "Syntax & Build"),
        ("&amp; stays", r"\&amp; stays"),
        ("ping @team now", "ping `@team` now"),
        ("No module named 'regex': so", "No module named `'regex'`: so"),
        ("pkg.mod imports a/b.py, e.g. once", "`pkg.mod` imports `a/b.py`, e.g. once"),
        ("pkg.work:char_lm failed in t.py::test[a]", "`pkg.work:char_lm` failed in `t.py::test`\\[a\\]"),
        ("call f() or and/or", "call `f()` or and/or"),
        ("loss 3.21 -> 2.04, 1:2", "loss 3.21 -> 2.04, 1:2"),
    ],
)
def test_prose_needs_few_backslashes(text, written):
    assert prose(text) == written


def test_long_text_is_cut_with_a_note():
    assert cut("x" * 1300, 100) == "x" * 100 + "… (1,200 more characters)"
    assert len(prose("x " * 5000)) < 700


def test_a_long_block_keeps_its_beginning_or_its_end():
    text = "\n".join(f"line {number}" for number in range(100))
    assert fence(text, limit=3).split("\n")[1:-1] == ["line 0", "line 1", "line 2", "… (97 more lines)"]
    assert fence(text, limit=2, tail=True).split("\n")[1:-1] == ["… (98 more lines)", "line 98", "line 99"]


def test_paragraphs_keep_code_items_and_breaks():
    written = paragraphs("Do this:\n\n    import a\n\n    import b\n\nthen\n- one\n- two_three")
    assert written == "Do this:\n\n```python\nimport a\n\nimport b\n```\n\nthen\n\n- one\n- `two_three`"
