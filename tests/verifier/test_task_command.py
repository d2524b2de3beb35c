"""Several tasks of one command line: one that fails hides none of the others, and several processes say the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from verifier import task_command

if TYPE_CHECKING:
    from tests.verifier.command import Command

NAMES = [f"T{number}" for number in range(6)]
CONFIG = "\n".join(f'[tool.verifier.tasks.{name}]\nfiles = ["{name.lower()}/*.py"]' for name in NAMES)
STATIC = ("--stage", "syntax", "--stage", "logic", "--no-progress")


@pytest.fixture
def project(command: Command) -> Command:
    command.write("pyproject.toml", CONFIG)
    command.write("shared.py", "def of(x):\n    return x\n")
    for number, name in enumerate(NAMES):
        wrong = ("", "", "print(nmae)\n", "def f(:\n", "", "from shared import off\n")[number]
        command.write(f"{name.lower()}/a.py", f"from shared import of\n\nx = of({number})\n{wrong}")
    return command


def _reports(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(folder.glob("*/report.json")):
        report = json.loads(path.read_text())
        del report["tool"]["command"]
        for stage in report["stages"]:
            stage["duration_s"] = 0
        found[path.parent.name] = report
    return found


def test_several_processes_say_the_same_as_one_and_as_single_tasks(project: Command) -> None:
    one = project("--all", *STATIC, "--jobs", "1", "--output", "one")
    two = project("--all", *STATIC, "--jobs", "2", "--output", "two")
    assert one.code == two.code == 1
    assert one.out.splitlines()[-1] == "6 tasks: 3 PASS, 3 BLOCK: T2, T3, T5"
    firsts = [[line for line in done.out.splitlines() if line.startswith(("PASS", "BLOCK"))] for done in (one, two)]
    assert firsts[0] == firsts[1]
    assert two.out.splitlines()[-1] == one.out.splitlines()[-1]
    for name in NAMES:
        project(name, *STATIC, "--output", f"alone/{name}", "-q")
    assert _reports(project.folder / "one") == _reports(project.folder / "two") == _reports(project.folder / "alone")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_task_that_cannot_be_read_or_written_hides_no_other(project: Command, jobs: str) -> None:
    project.write("out/T1", "a file where the folder of a report belongs")
    done = project("--all", *STATIC, "--jobs", jobs, "--output", "out")
    assert done.code == 3
    assert "verify: task T1 has no report: " in done.err
    assert done.out.splitlines()[-1] == "6 tasks: 2 PASS, 3 BLOCK, 1 not verified: T1, T2, T3, T5"
    assert sorted(_reports(project.folder / "out")) == [name for name in NAMES if name != "T1"]


def test_a_task_at_which_the_verifier_fails_hides_no_other(project: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = task_command.run_task

    def failing(runner: Any, task: Any, *more: Any) -> int:
        if task.name == "T4":
            raise RuntimeError("planted")
        return usual(runner, task, *more)

    monkeypatch.setattr(task_command, "run_task", failing)
    done = project("--all", *STATIC, "--jobs", "2", "-q")
    assert done.code == 3
    assert "RuntimeError: planted" in done.err
    assert "verify: task T4 has no report, as the verifier itself failed" in done.err
    assert len(_reports(project.folder / ".verify/reports")) == 5


def test_a_task_whose_process_is_killed_hides_no_other(project: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, parent = task_command.run_task, os.getpid()

    def dying(runner: Any, task: Any, *more: Any) -> int:
        if task.name == "T4" and os.getpid() != parent:
            os.kill(os.getpid(), 9)
        return usual(runner, task, *more)

    monkeypatch.setattr(task_command, "run_task", dying)
    done = project("--all", *STATIC, "--jobs", "2", "-q")
    assert done.code == 3
    assert done.err == "verify: task T4 has no report: its process was ended by signal SIGKILL\n"


def test_a_wrong_option_is_said_once(project: Command) -> None:
    done = project("--all", *STATIC, "--sandbox", "nosuch")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
