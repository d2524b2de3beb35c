"""`verify --changed-since`: the tasks that a change concerns, a static check of the rest, else nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.verifier.changes.repository import ENVIRONMENT, Repository, repository

if TYPE_CHECKING:
    from tests.verifier.command import Command

CONFIG = """
[tool.verifier]
exclude = ["old/**"]

[tool.verifier.tasks.T1]
title = "one"
files = ["one/*.py"]
tests = ["tests/one"]

[tool.verifier.tasks.T2]
title = "two"
files = ["two.py"]
workloads = ["loads.small:factory"]
"""
FILES = ("one/a.py", "one/b.py", "two.py", "tests/one/test_a.py", "loose.py", "loads/small.py", "docs/x.md", "old/a.py")
STATIC = ("--stage", "syntax", "--no-progress")


@pytest.fixture
def repo(command: Command, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    command.write("pyproject.toml", CONFIG)
    command.write(".gitignore", ".verify/\n")
    return repository(command.folder, *FILES)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["one/a.py"], "task T1"),
        (["two.py"], "task T2"),
        (["one/a.py", "two.py"], "task T1, task T2"),
        (["tests/one/test_a.py"], "task T1"),
        (["tests/conftest.py"], "task T1, 1 file without a task"),
        (["loads/small.py"], "task T2, 1 file without a task"),
        (["loose.py", "new.py", "docs/x.md"], "2 files without a task"),
        (["pyproject.toml"], "task T1, task T2"),
        (["requirements-dev.txt"], "task T1, task T2"),
        (["docs/x.md"], "none that is verified, so there is nothing to do"),
        (["old/a.py"], "none that is verified, so there is nothing to do"),
    ],
)
def test_what_is_verified(command: Command, repo: Repository, changed: list[str], told: str) -> None:
    for name in changed:
        repo.write(name, CONFIG + "# more\n" if name.endswith(".toml") else "y = 2\n")
    done = command("--changed-since", "HEAD", *STATIC)
    count = f"{len(changed)} file{'' if len(changed) == 1 else 's'} changed since HEAD (merge base "
    assert done.err.startswith(f"verify: {count}")
    assert done.err.splitlines()[0].endswith(f"): {told}")
    assert done.code == 0


def test_a_deleted_and_a_renamed_file_concern_the_task_they_were_in(command: Command, repo: Repository) -> None:
    repo.git("mv", "one/a.py", "moved.py")
    first = command("--changed-since", "HEAD", *STATIC).err.splitlines()[0]
    assert first.endswith(": task T1, 1 file without a task")


def test_a_changed_file_without_a_task_blocks_like_any_other(command: Command, repo: Repository) -> None:
    repo.write("loose.py", "print(nmae)\n")
    done = command("--changed-since", "main", *STATIC, "--format", "json", "--output", "out")
    assert done.code == 1
    report = json.loads((command.folder / "out/check/report.json").read_text())
    assert [file["path"] for file in report["source"]["files"]] == ["loose.py"]
    assert report["verdict"] == "BLOCK"


def test_without_a_configuration_changed_files_are_read(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    repo = repository(command.folder, "a.py", "b.py")
    repo.write("a.py", "print(nmae)\n")
    done = command("--changed-since", "HEAD", "--format", "concise", "--output", "-")
    assert done.code == 1
    assert done.out.startswith("a.py:1:7: SCP001")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("T1", "--changed-since", "HEAD"), "leave out --all and the names"),
        (("--all", "--changed-since", "HEAD"), "leave out --all and the names"),
        (("--changed-since", "nowhere"), "there is no such commit"),
    ],
)
def test_wrong_use(command: Command, repo: Repository, arguments: tuple[str, ...], sentence: str) -> None:
    done = command(*arguments)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert sentence in done.err


def test_a_stage_that_runs_code_leaves_files_without_a_task_alone(command: Command, repo: Repository) -> None:
    repo.write("loose.py", "y = 2\n")
    done = command("--changed-since", "HEAD", "--stage", "integration", "--no-progress")
    assert (done.code, "not checked, as no stage was asked for that only reads" in done.err) == (0, True)
