"""A project's accepted findings, through the command line: they do not block, they shrink, they never grow alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.verifier.command import Command

CONFIG = '[tool.verifier.tasks.T1]\ntitle = "t"\nfiles = ["pkg/*.py"]\n'
ONE, TWO = "def f():\n    return missing\n", "def f():\n    return missing\n\n\ndef g():\n    return absent\n"
REPORT = ("--format", "json", "--output", "-", "--no-progress")
BASE = ("--baseline", "b.json")


@pytest.fixture
def legacy(command: Command) -> Command:
    """A project with two accepted findings."""
    command.write("pyproject.toml", CONFIG)
    command.write("pkg/a.py", TWO)
    done = command("check", ".", *BASE, "--update-baseline", "was there before us", "--no-progress")
    assert (done.code, done.err) == (0, "verify: baseline b.json: 2 findings accepted; it holds 2 findings now\n")
    return command


def _baseline(root: Path) -> list[dict[str, Any]]:
    findings: list[dict[str, Any]] = json.loads((root / "b.json").read_text())["findings"]
    return findings


def test_without_the_baseline_they_block_and_with_it_they_are_shown_and_do_not(legacy: Command) -> None:
    assert legacy("check", ".").code == 1
    done = legacy("check", ".", *BASE, *REPORT)
    report = json.loads(done.out)
    syntax = report["stages"][0]
    assert (done.code, report["verdict"], report["score"], syntax["status"]) == (0, "PASS", 100, "PASSED")
    marks = [(item["rule"], item["blocking"], item.get("baselined")) for item in syntax["findings"]]
    assert marks == [("SCP001", False, True)] * 2
    scope = next(gate for gate in syntax["gates"] if gate["name"] == "scope")
    assert scope["status"] == "WARN"
    assert scope["evidence"].startswith("in the baseline: 2 SCP001 CRITICAL")
    assert report["tool"]["baseline"] == {"file": "b.json", "entries": 2, "findings": 2}
    assert [entry["reason"] for entry in _baseline(legacy.folder)] == ["was there before us"] * 2


@pytest.mark.parametrize("form", ["concise", "md"])
def test_every_format_for_people_says_which_findings_are_accepted(legacy: Command, form: str) -> None:
    done = legacy("check", ".", *BASE, "--format", form, "--output", "-", "--no-progress")
    assert "in the baseline" in done.out


def test_what_is_new_blocks_and_moved_code_is_not_new(legacy: Command) -> None:
    legacy.write("pkg/a.py", "import math\n\n\n" + TWO)
    assert legacy("check", ".", *BASE).code == 0
    legacy.write("pkg/a.py", TWO + "\n\ndef h():\n    return nowhere\n")
    done = legacy("check", ".", *BASE)
    assert done.code == 1
    assert [line.endswith("(in the baseline)") for line in done.out.splitlines()[:3]] == [True, True, False]
    assert len(_baseline(legacy.folder)) == 2


def test_a_second_finding_like_an_accepted_one_blocks(legacy: Command) -> None:
    legacy.write("pkg/b.py", ONE)
    assert legacy("check", ".", *BASE).code == 1


def test_outside_ci_it_shrinks_by_itself(legacy: Command) -> None:
    legacy.write("pkg/a.py", ONE)
    done = legacy("check", ".", *BASE, "--no-progress")
    assert (done.code, done.err) == (
        0,
        "verify: baseline b.json: 1 finding gone and taken out; it holds 1 finding now\n",
    )
    legacy.write("pkg/a.py", TWO)
    assert legacy("check", ".", *BASE).code == 1


def test_in_ci_a_stale_one_fails_and_is_left_alone(legacy: Command) -> None:
    before = (legacy.folder / "b.json").read_bytes()
    assert legacy("check", ".", *BASE, CI="true").code == 0
    legacy.write("pkg/a.py", ONE)
    done = legacy("check", ".", *BASE, CI="true")
    assert done.code == 1
    assert ":1: VER005 [CRITICAL] The baseline b.json is stale: of what it holds, 1 finding gone." in done.out
    assert (legacy.folder / "b.json").read_bytes() == before
    assert legacy("check", ".", *BASE, CI="false").code == 0


@pytest.mark.parametrize(
    "arguments",
    [("check", "pkg/b.py"), ("check", ".", "--ignore", "SCP"), ("check", ".", "--stage", "logic"), ("T1",)],
)
def test_a_run_that_sees_less_takes_nothing_for_gone(legacy: Command, arguments: tuple[str, ...]) -> None:
    legacy.write("pkg/a.py", "def f():\n    return 1\n")
    legacy.write("pkg/b.py", "x = 1\n")
    before = (legacy.folder / "b.json").read_bytes()
    assert legacy(*arguments, *BASE, *(["--stage", "syntax"] if arguments == ("T1",) else []), CI="1").code == 0
    assert (legacy.folder / "b.json").read_bytes() == before


def test_a_task_profits_from_what_the_check_accepted_and_adopts_its_own(legacy: Command) -> None:
    stage = ("--stage", "syntax", "--no-progress")
    assert legacy("T1", *BASE, *stage).code == 0
    assert legacy("T1", *BASE, *stage, "--update-baseline", "and  again").code == 0
    assert [(entry["task"], entry["reason"]) for entry in _baseline(legacy.folder)] == [
        *[("T1", "and again")] * 2,
        *[("check", "was there before us")] * 2,
    ]


def test_with_an_accepted_syntax_finding_the_tests_still_run(command: Command) -> None:
    command.write("pyproject.toml", CONFIG)
    command.write("pkg/a.py", ONE)
    adopt = ("--update-baseline", "legacy", "--no-progress")
    assert command("T1", *BASE, "--stage", "syntax", "--stage", "integration", *adopt).code == 0
    done = command("T1", *BASE, "--stage", "syntax", "--stage", "integration", *REPORT)
    assert {stage["name"]: stage["status"] for stage in json.loads(done.out)["stages"]} == {
        "syntax": "PASSED",
        "integration": "PASSED",
    }


def test_lint_errors_that_are_accepted_do_not_fill_the_lint_gate(command: Command) -> None:
    command.write("pkg/a.py", "".join(f"import os as a{number}\n" for number in range(9)))
    first = json.loads(command("check", ".", *REPORT).out)["stages"][0]
    lint = next(gate for gate in first["gates"] if gate["name"] == "lint")
    command("check", ".", *BASE, "--update-baseline", "legacy")
    again = json.loads(command("check", ".", *BASE, *REPORT).out)["stages"][0]
    assert next(gate for gate in again["gates"] if gate["name"] == "lint")["status"] != "FAIL"
    if lint["status"] != "DEFERRED":
        assert lint["status"] == "FAIL"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--baseline", "none.json"), "there is no baseline none.json; write one with"),
        (("--update-baseline", "why"), "--update-baseline needs --baseline FILE"),
        (("--baseline", "b.json", "--update-baseline", " "), "--update-baseline needs a reason"),
        (("--baseline", "cut.json"), "cut.json is no baseline: not JSON"),
    ],
)
def test_wrong_use_is_exit_2_and_one_line(legacy: Command, arguments: tuple[str, ...], sentence: str) -> None:
    (legacy.folder / "cut.json").write_bytes((legacy.folder / "b.json").read_bytes()[:90])
    done = legacy("check", ".", *arguments)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert sentence in done.err


def test_the_file_keeps_its_link_and_its_rights(legacy: Command) -> None:
    root = legacy.folder
    (root / "b.json").rename(root / "kept.json")
    (root / "kept.json").chmod(0o640)
    (root / "b.json").symlink_to("kept.json")
    legacy.write("pkg/a.py", ONE)
    assert legacy("check", ".", *BASE).code == 0
    assert (root / "b.json").is_symlink()
    assert ((root / "kept.json").stat().st_mode & 0o777, len(_baseline(root))) == (0o640, 1)
