"""Reports say which findings have a fix, and show it; a report without such findings pays nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import finding, reported, stage_result
from verifier.api import Config, Edit, Finding, Fix, FixContext, Repair, RuleInfo, Severity, SourceFile, SourceTree
from verifier.fixing.offered import with_fixes

RULES = {
    code: RuleInfo(code=code, name=code.lower(), severity=Severity.CRITICAL, summary="s", why="w")
    for code in ("EXT001", "EXT002")
}


@pytest.fixture
def sources(tmp_path: Path) -> SourceTree:
    (tmp_path / "a.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    return SourceTree(tmp_path, [SourceFile("a.py", tmp_path / "a.py")])


def _replace(item: Finding, context: FixContext) -> Repair | None:
    start = context.text(item.location.path).offset(item.location.line, 4)
    return Repair(edits={item.location.path: (Edit(start, start + 1, "3"),)}, what="writes 3")


def _fails(_item: Finding, _context: FixContext) -> Repair | None:
    raise RuntimeError("a fault of the fix")


def _fix(rule: str, repair: object = _replace) -> Fix:
    return Fix(rule=rule, safety="safe", summary="s", repair=repair)  # type: ignore[arg-type]


def _with(sources: SourceTree, fix: Fix, *findings: Finding) -> list[tuple[str | None, str]]:
    stage = stage_result(*(reported(item) for item in findings))
    (done,) = with_fixes([stage], Config(root=sources.root), sources, {fix.rule: fix}, RULES)
    return [(item.finding.fix, item.diff) for item in done.findings]


def test_a_finding_that_has_a_fix_says_so_and_shows_it(sources: SourceTree) -> None:
    fix, diff = _with(sources, _fix("EXT001"), finding("EXT001", "a.py:2"))[0]
    assert fix == "safe"
    assert diff.splitlines()[3:] == [" x = 1", "-y = 2", "+y = 3"]


def test_a_finding_that_is_only_suspected_is_never_fixed_safely(sources: SourceTree) -> None:
    assert _with(sources, _fix("EXT001"), finding("EXT001", "a.py:2", "LOW"))[0][0] == "unsafe"


def test_findings_of_other_rules_cost_nothing(sources: SourceTree) -> None:
    assert _with(sources, _fix("EXT001", _fails), finding("EXT002", "a.py:2")) == [(None, "")]


def test_a_fix_that_fails_costs_no_verdict_and_is_told(sources: SourceTree, caplog: pytest.LogCaptureFixture) -> None:
    assert _with(sources, _fix("EXT001", _fails), finding("EXT001", "a.py:2")) == [(None, "")]
    assert "the fix of EXT001" in caplog.text
