"""`verify check-report`: a report holds until a file, the configuration, or a word of it is another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.verifier.command import Command

CONFIG = """
[tool.verifier.tasks.T1]
title = "t"
files = ["pkg/*.py"]

[[tool.verifier.tasks.T1.acceptance]]
text = "it loads"
proven-by = ["syntax:compilation"]
"""
FILE = ".verify/reports/T1/report.json"


@pytest.fixture
def project(command: Command) -> Command:
    """A project with a report that says PASS."""
    command.write("pyproject.toml", CONFIG)
    command.write("pkg/a.py", "x = 1\n")
    assert command("T1", "--stage", "syntax", "--stage", "logic", "-q").code == 0
    return command


def test_it_holds_for_the_tree_that_was_judged(project: Command) -> None:
    done = project("check-report", FILE)
    assert (done.code, done.err) == (0, "")
    assert (
        done.out
        == f"holds for {project.folder}: T1 PASS 100/100, 1 file; not run: " + done.out.partition("not run: ")[2]
    )


def _append(root: Path) -> None:
    (root / "pkg/a.py").write_text("x = 2\n")


def _remove(root: Path) -> None:
    (root / "pkg/a.py").rename(root / "pkg/b.py")


def _add(root: Path) -> None:
    (root / "pkg/c.py").write_text("")


def _configure(root: Path) -> None:
    (root / "pyproject.toml").write_text(CONFIG + "\n# another word\n")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_append, "changed: pkg/a.py"),
        (_remove, "gone or unreadable: pkg/a.py"),
        (_add, "never judged, though the task selects it now: pkg/c.py"),
        (_configure, "the configuration has changed: pyproject.toml"),
    ],
)
def test_it_does_not_hold_for_another_tree(project: Command, change: Callable[[Path], None], sentence: str) -> None:
    change(project.folder)
    done = project("check-report", FILE)
    assert done.code == 1
    assert f"  {sentence}\n" in done.out
    assert "does not hold for" in done.out


def _blocking(report: dict[str, Any]) -> None:
    report["stages"][0]["status"] = "FAILED"


def _score(report: dict[str, Any]) -> None:
    report["stages"][0]["score"] = report["score"] = 99


def _no_stage(report: dict[str, Any]) -> None:
    report["stages"] = []


def _gate(report: dict[str, Any]) -> None:
    report["stages"][0]["gates"][0]["status"] = "FAIL"


def _no_check(report: dict[str, Any]) -> None:
    report["stages"][0]["checks_run"] = 0


def _deferred(report: dict[str, Any]) -> None:
    report["deferred"] = [{"stage": "syntax", "gate": "scope", "reason": "r"}]


@pytest.mark.parametrize(
    ("forge", "part"),
    [
        (_blocking, "make it PASSED, not FAILED"),
        (_score, "make the score 100, not 99"),
        (_no_stage, "its stages make the verdict BLOCK, not PASS"),
        (_gate, "make it FAILED, not PASSED"),
        (_no_check, "it ran no check"),
        (_deferred, "its list of deferred gates"),
    ],
)
def test_a_verdict_that_does_not_follow_from_the_report_does_not_hold(
    project: Command, forge: Callable[[dict[str, Any]], None], part: str
) -> None:
    report = json.loads((project.folder / FILE).read_text())
    forge(report)
    forged = project.write("forged.json", json.dumps(report))
    done = project("check-report", forged)
    assert done.code == 1
    assert part in done.out


def test_a_report_that_was_edited_does_not_agree_with_the_list_beside_it(project: Command) -> None:
    path = project.folder / FILE
    path.write_text(path.read_text().replace('"title": "t"', '"title": "u"'))
    assert "altered after it was written" in project("check-report", FILE).out


def test_a_report_that_blocks_holds_and_is_no_pass(command: Command) -> None:
    command.write("a.py", "print(nmae)\n")
    command("check", "a.py", "--output", "out", "--format", "json")
    done = command("check-report", "out/report.json", "--root", ".")
    assert done.code == 1
    assert "holds for" in done.out
    assert "check BLOCK" in done.out


def test_what_the_baseline_no_longer_excuses_does_not_hold(command: Command) -> None:
    command.write("a.py", "print(nmae)\n")
    adopt = ("--baseline", "b.json", "--update-baseline", "legacy")
    command("check", "a.py", *adopt, "--output", "out", "--format", "json")
    check = ("check-report", "out/report.json", "--root", ".")
    assert command(*check).code == 0
    command.write("b.json", '{"schema": "verifier-baseline/1", "checked": [], "findings": []}')
    done = command(*check)
    assert done.code == 1
    assert "no longer in the baseline b.json: SCP001 in a.py" in done.out


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "not JSON, or cut off"),
        ("{", "not JSON, or cut off"),
        ("[]", "holds no JSON object"),
        ("{}", "has not the schema"),
        ('{"schema": "verifier-report/1"}', "must be an object"),
    ],
)
def test_what_is_no_report_is_exit_2_and_one_line(command: Command, text: str, part: str) -> None:
    command.write("r.json", text)
    done = command("check-report", "r.json")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert part in done.err
    assert command("check-report", "none.json").code == 2


def test_any_part_that_is_missing_is_named(project: Command) -> None:
    report = json.loads((project.folder / FILE).read_text())
    for key in set(report) - {"schema"}:
        project.write("r.json", json.dumps({name: value for name, value in report.items() if name != key}))
        done = project("check-report", "r.json")
        assert done.code == 2
        assert key in done.err
