"""Every rule's examples are its tests: Bad is reported on exactly the marked lines, Good is silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.logic import stage as logic
from stages.security import stage as security
from stages.security.scanner import program
from stages.syntax import stage as syntax
from tests.builders import run_stage
from verifier.api import Bad, Example, RuleInfo, Stage

STAGES = (syntax.STAGE, logic.STAGE, security.STAGE)
EXAMPLES = [
    pytest.param(stage, rule, example, id=f"{rule.code}-{type(example).__name__.lower()}{number}")
    for stage in STAGES
    for rule in stage.rules
    for number, example in enumerate(rule.examples)
]
STATIC = [rule for stage in STAGES for rule in stage.rules if rule.mode != "runtime"]


@pytest.fixture(autouse=True)
def no_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules find what their examples show without the scanner, which is another process each time."""
    monkeypatch.setattr(program, "find_scanner", lambda _root: None)


@pytest.mark.parametrize(("stage", "rule", "example"), EXAMPLES)
def test_example_reports_exactly_the_marked_lines(
    stage: Stage, rule: RuleInfo, example: Example, tmp_path: Path
) -> None:
    for path, text in example.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    outcome = run_stage(stage, tmp_path, list(example.files))
    places = {
        (item.location.path, item.location.line, item.rule) for item in outcome.findings if item.rule == rule.code
    }
    assert places == {place for place in example.expected if place[2] == rule.code}
    assert bool(example.expected) is isinstance(example, Bad)


@pytest.mark.parametrize("rule", STATIC, ids=lambda rule: rule.code)
def test_every_rule_shows_what_is_wrong_and_what_is_right(rule: RuleInfo) -> None:
    assert {type(example).__name__ for example in rule.examples} == {"Bad", "Good"}
