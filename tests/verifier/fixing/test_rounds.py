"""Repairs go together where they do not meet, wait for the next round where they do, and go where they do not help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import reported, run_report, stage_result
from verifier.api import (
    Config,
    Edit,
    Finding,
    Fix,
    FixContext,
    Location,
    Repair,
    RuleInfo,
    RunReport,
    Severity,
    SourceFile,
    SourceTree,
)
from verifier.fixing.rounds import Fixed, Fixer

BADNESS = {"bad": "EXT001", "awful": "EXT002", "worse": "EXT003"}
RULES = {
    code: RuleInfo(code=code, name=word, severity=Severity.HIGH, summary="s", why="w") for word, code in BADNESS.items()
}
Change = Callable[[str, Finding], tuple[Edit, ...]]


def judge(tree: SourceTree) -> RunReport:
    """Report every bad word of the files."""
    return run_report(stage_result(*(reported(item) for item in _words(tree))))


def _words(tree: SourceTree) -> Iterator[Finding]:
    for file in tree:
        for number, line in enumerate((file.data or b"").decode().split("\n"), 1):
            for found in re.finditer("|".join(BADNESS), line):
                place = Location(path=file.path, line=number, column=found.start() + 1)
                yield Finding(
                    rule=BADNESS[found[0]], severity=Severity.HIGH, message=f"{found[0]} {line}", location=place
                )


def _fix(word: str, change: Callable[[str, int], tuple[Edit, ...]]) -> Fix:
    def repair(item: Finding, context: FixContext) -> Repair:
        text = context.text(item.location.path)
        place = text.offset(item.location.line, item.location.column - 1)
        return Repair(edits={item.location.path: change(text.text, place)}, what="changes it")

    return Fix(rule=BADNESS[word], safety="safe", summary="s", repair=repair)


def _rename(word: str, new: str) -> Fix:
    return _fix(word, lambda _text, place: (Edit(place, place + len(word), new),))


def run(root: Path, files: dict[str, str], *fixes: Fix) -> Fixed:
    for path, text in files.items():
        (root / path).write_text(text)
    tree = SourceTree(root, [SourceFile(path, root / path) for path in files])
    return Fixer(config=Config(root=root), fixes={fix.rule: fix for fix in fixes}, rules=RULES, judge=judge).fix(tree)


def _texts(done: Fixed) -> list[str]:
    return [(file.data or b"").decode() for file in done.sources]


def test_several_rules_are_mended_in_one_pass(tmp_path: Path) -> None:
    done = run(tmp_path, {"a.py": "bad = awful\n", "b.py": "awful = 1\n"}, _rename("bad", "x"), _rename("awful", "y"))
    assert _texts(done) == ["x = y\n", "y = 1\n"]
    assert len(done.applied) == 3
    assert not done.withdrawn


def test_the_same_edit_is_made_once(tmp_path: Path) -> None:
    def with_import(text: str, place: int) -> tuple[Edit, ...]:
        return Edit(0, 0, "import good\n"), Edit(place, place + 3, "good")

    done = run(tmp_path, {"a.py": "bad = 1\nbad = 2\n"}, _fix("bad", with_import))
    assert _texts(done) == ["import good\ngood = 1\ngood = 2\n"]


def test_repairs_that_meet_take_two_rounds(tmp_path: Path) -> None:
    def whole_line(text: str, place: int) -> tuple[Edit, ...]:
        end = text.index("\n", place)
        return (Edit(place, end, text[place + 3 : end].replace("=", "x =", 1).strip()),)

    done = run(tmp_path, {"a.py": "bad = awful\n"}, _fix("bad", whole_line), _rename("awful", "y"))
    assert _texts(done) == ["x = y\n"]


@pytest.mark.parametrize(
    ("new", "why"),
    [("bad2", "the finding stays"), ("worse", "another one is new"), ("(", "it does not compile")],
)
def test_what_does_not_help_is_taken_back(new: str, why: str, tmp_path: Path) -> None:
    done = run(tmp_path, {"a.py": "bad = 1\nawful = 2\n"}, _rename("bad", new), _rename("awful", "y"))
    assert _texts(done) == ["bad = 1\ny = 2\n"], why
    assert [item.finding.rule for item in done.withdrawn] == ["EXT001"]
    assert [item.finding.rule for item in done.applied] == ["EXT002"]


def test_a_repair_of_two_files_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    def repair(_item: Finding, context: FixContext) -> Repair:
        return Repair(edits={"a.py": (Edit(0, 3, "x"),), "b.py": (Edit(0, 1, "("),)}, what="changes both")

    fix = Fix(rule="EXT001", safety="safe", summary="s", repair=repair)
    done = run(tmp_path, {"a.py": "bad = 1\n", "b.py": "z = 2\n"}, fix)
    assert _texts(done) == ["bad = 1\n", "z = 2\n"]
    assert len(done.withdrawn) == 1


def test_what_an_unsafe_fix_would_mend_is_left_and_told(tmp_path: Path) -> None:
    fix = Fix(rule="EXT001", safety="unsafe", summary="s", repair=_rename("bad", "x").repair)
    done = run(tmp_path, {"a.py": "bad = 1\n"}, fix)
    assert _texts(done) == ["bad = 1\n"]
    assert [item.finding.rule for item in done.unsafe] == ["EXT001"]
