"""The list of operators is whole, and the page says the same as the code."""

from __future__ import annotations

from pathlib import Path

from stages.mutation.catalogue import ROWS, WITHOUT_OPERATOR, Visible
from stages.mutation.page import with_list
from verifier.api import load_plugins

PAGE = Path(__file__).parents[3] / "docs/mutants.md"
AMP = {code for code in load_plugins().rules if code.startswith("AMP")}


def test_every_rule_is_expected_of_an_operator_or_named_with_the_reason_why_not():
    expected = {code for row in ROWS for code in row.codes}
    assert expected | set(WITHOUT_OPERATOR) == AMP
    assert expected & set(WITHOUT_OPERATOR) == set()


def test_names_are_unique_and_what_is_not_visible_has_a_reason():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
    assert [row.name for row in ROWS if (row.visible is not Visible.YES) != bool(row.why)] == []


def test_the_page_is_up_to_date():
    page = PAGE.read_text("utf-8")
    assert page == with_list(page), "python -m stages.mutation.page docs/mutants.md"
