"""What several tasks share: each file is read once, and nothing that is kept of a file outlives its task."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from verifier.model.task import Config, Task
from verifier.selection import rest_of_project, task_sources
from verifier.workspace import Workspace


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for name in ("a/one.py", "a/two.py", "b/three.py", "b/data.json", "tests/test_a.py", "ignored/x.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# {name}\n")
    (tmp_path / ".gitignore").write_text("ignored/\n")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / ".git").mkdir()
    return Config(root=tmp_path, exclude=("b/data.json",))


def _task(*files: str, **more: tuple[str, ...]) -> Task:
    return Task(name="T", title="T", files=files, **more)


@pytest.mark.parametrize(
    "task",
    [
        _task("a/*.py"),
        _task("**/*.py"),
        _task("b/three.py", "a/"),
        _task("a/one.py", tests=("tests",)),
        _task("*/t*.py"),
        _task("[ab]/*"),
    ],
)
def test_a_task_has_the_files_that_it_has_alone(config: Config, task: Task) -> None:
    shared, alone = Workspace(config, runs_code=False).sources(task), task_sources(config, task)
    assert [(file.path, file.data) for file in shared] == [(file.path, file.data) for file in alone]
    rests = [[file.path for file in rest_of_project(config, tree)] for tree in (shared, alone)]
    assert rests[0] == rests[1]


def test_a_file_is_read_once_and_is_every_tasks_own(config: Config) -> None:
    workspace = Workspace(config, runs_code=False)
    first = workspace.sources(_task("a/*.py"))
    before = first.get("a/one.py")
    assert before is not None
    digest = before.sha256
    (config.root / "a/one.py").write_text("changed = 1\n")
    second = workspace.sources(_task("a/one.py", "b/*.py"))
    after = second.get("a/one.py")
    assert after is not None
    assert after is not before
    assert (after.data, after.sha256) == (before.data, digest)
    kept = weakref.ref(before)
    del first, before
    gc.collect()
    assert kept() is None


def test_where_code_is_run_every_task_has_the_tree_as_it_is_now(config: Config) -> None:
    workspace = Workspace(config, runs_code=True)
    workspace.sources(_task("a/*.py"))
    (config.root / "a/one.py").write_text("changed = 1\n")
    (config.root / "a/new.py").write_text("")
    tree = workspace.sources(_task("a/*.py"))
    assert [file.path for file in tree] == ["a/new.py", "a/one.py", "a/two.py"]
    changed = tree.get("a/one.py")
    assert changed is not None
    assert changed.data == b"changed = 1\n"


def test_within_a_task_a_file_is_one_object(config: Config) -> None:
    tree = Workspace(config, runs_code=False).sources(_task("a/one.py"))
    (other,) = [file for file in rest_of_project(config, tree) if file.path == "a/two.py"]
    assert tree.file("a/two.py") is other
