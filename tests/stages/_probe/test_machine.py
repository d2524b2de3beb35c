"""What `verify doctor` says of the project's interpreter is what that interpreter does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stages._probe.machine import ask, isolation, verifier_machine
from verifier.api import Ability, Config, State, Task


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has nothing installed."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin/python"


def config(root: Path, text: str, **task: tuple[str, ...]) -> Config:
    (root / "a.py").write_text(text)
    (root / "test_a.py").write_text("def test_a(): pass\n")
    return Config(root=root, tasks={"T": Task(name="T", title="T", files=("a.py",), **task)})


def found(root: Path, python: Path, text: str = "", **task: tuple[str, ...]) -> dict[str, Ability]:
    return {item.name: item for item in verifier_machine(config(root, text, **task), python)}


def fake(root: Path, script: str) -> Path:
    path = root / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_complete_interpreter_stops_nothing(tmp_path: Path) -> None:
    facts = found(tmp_path, Path(sys.executable), "import torch\n", tests=("test_a.py",))
    assert list(facts) == ["interpreter", "torch", "pytest", "isolation"]
    assert not any(item.stops for item in facts.values())
    assert "CPU" in facts["torch"].text or "CUDA" in facts["torch"].text


def test_what_tasks_need_and_the_interpreter_lacks_stops_the_stage(tmp_path: Path, bare: Path) -> None:
    facts = found(tmp_path, bare, "import torch\n", tests=("test_a.py",))
    assert {name for name, item in facts.items() if item.stops} == {"torch", "pytest"}
    assert facts["isolation"].state is State.WORKS


def test_what_no_task_needs_stops_nothing(tmp_path: Path, bare: Path) -> None:
    facts = found(tmp_path, bare, "import math\n")
    assert not any(item.stops or item.remedy for item in facts.values())
    assert facts["torch"].text == "not installed there; no task imports it"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 30", "did not answer within 0.5 s"),
        ("echo hello", "did not answer as a Python would"),
        ("exit 3", "did not answer as a Python would"),
        ("echo '{nonsense'", "did not answer as a Python would"),
    ],
)
def test_an_interpreter_that_does_not_answer_is_said(tmp_path: Path, script: str, reason: str) -> None:
    assert ask(fake(tmp_path, script), tmp_path, limit_s=0.5) == reason


def test_an_interpreter_that_does_not_exist_stops_the_stage(tmp_path: Path) -> None:
    (fact,) = found(tmp_path, tmp_path / "no-python").values()
    assert (fact.state, fact.stops) == (State.MISSING, ("integration", "performance"))
    assert "cannot be started" in fact.text


@pytest.mark.parametrize(
    ("then", "error"),
    [("exec sleep 30", "importing it did not end within 1 s"), ("kill -SEGV $$", "importing it ended the process")],
)
def test_a_torch_whose_import_hangs_or_dies_is_not_called_working(tmp_path: Path, then: str, error: str) -> None:
    first = '{"python": [3, 11, 7], "versions": {"torch": "9.9", "pytest": null, "psutil": null}}'
    answer = ask(fake(tmp_path, f"echo '{first}'\n{then}"), tmp_path, limit_s=1)
    assert isinstance(answer, dict)
    assert answer["import"] == {"error": error}


def test_a_harness_that_does_not_start_is_no_isolation(tmp_path: Path) -> None:
    fact = isolation(fake(tmp_path, "echo too old; exit 1"), tmp_path)
    assert (fact.state, fact.stops) == (State.MISSING, ("integration", "performance"))
    assert "too old" in fact.text
