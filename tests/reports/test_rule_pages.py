"""The pages of docs/rules are those that the rules give today, and a reader finds everything there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings

from reports import rule_pages
from tests.reports.parsed import headings, hostile, shape, text_of
from verifier.api import Bad, Good, RuleInfo, Severity, load_plugins

DOCS = Path(__file__).parents[2] / "docs/rules"
PLUGINS = load_plugins()
PAGES = rule_pages.pages(PLUGINS)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).is_file(), f"docs/rules/{name} is missing: make rules"
    assert (DOCS / name).read_text("utf-8") == PAGES[name], "make rules"


def test_no_page_is_left_of_a_rule_that_is_no_more() -> None:
    assert sorted(path.name for path in DOCS.iterdir()) == sorted(PAGES)


@pytest.mark.parametrize("code", sorted(PLUGINS.rules))
def test_a_page_holds_what_the_rule_says(code: str) -> None:
    rule, page = PLUGINS.rules[code], PAGES[f"{code}.md"]
    assert headings(page)[0] == (1, f"{code}: {rule.name}")
    shown = " ".join(text_of(page).split())
    for example in rule.examples:
        for text in example.shown.values():
            assert " ".join(text.split()) in shown
    assert "expect:" not in page
    titles = [title for _, title in headings(page)]
    assert ("Bad" in titles, "Good" in titles) == (bool(rule.examples), bool(rule.examples))


def test_the_index_links_every_page_once() -> None:
    links = shape(PAGES[rule_pages.INDEX]).links
    assert sorted(links) == sorted(f"{code}.md" for code in PLUGINS.rules)


def test_writing_replaces_pages_and_removes_stale_ones(tmp_path: Path) -> None:
    (tmp_path / "OLD001.md").write_text("gone")
    (tmp_path / "SCP001.md").write_text("stale")
    rule_pages.write(tmp_path, PLUGINS)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == PAGES


def test_rules_of_other_distributions_have_no_page_of_ours() -> None:
    foreign = dataclasses.replace(PLUGINS, rule_origin={"SCP001": "other 1.0"})
    assert "SCP001.md" not in rule_pages.pages(foreign)


def _page(text: str) -> str:
    rule = RuleInfo(
        code="TST001",
        name="test-rule",
        severity=Severity.LOW,
        summary=text,
        why=text,
        examples=(Bad(f"x = 1  # expect: TST001\n{text}"), Good("# --- a.py\nx = 1\n# --- b.toml\ny = 2\n")),
    )
    stages = dataclasses.replace(PLUGINS, rules={"TST001": rule}, rule_stage={"TST001": "syntax"})
    return rule_pages.rule_page(stages, rule)


@settings(max_examples=60, deadline=None)
@given(hostile())
def test_no_text_of_a_rule_changes_the_structure_of_its_page(text: str) -> None:
    plain = shape(_page("plain"))
    assert shape(_page(text)).headings == plain.headings
    assert shape(_page(text)).html == plain.html
