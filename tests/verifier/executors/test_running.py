"""`--executor ray`, with nodes that are processes of this machine: same reports, and what is lost is ERRORED."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.verifier.changes.repository import ENVIRONMENT, repository
from verifier.baseline.document import Baseline, written
from verifier.executors import running
from verifier.executors.cluster import Lost
from verifier.executors.placing import Node
from verifier.executors.work import do
from verifier.model.stage import Resources

if TYPE_CHECKING:
    from tests.verifier.command import Command
    from verifier.executors.snapshot import Snapshot

CONFIG = '[tool.verifier.tasks.T1]\nfiles = ["a.py"]\n[tool.verifier.tasks.T2]\nfiles = ["b.py"]\n'
STATIC = ("--stage", "syntax", "--stage", "security", "--no-progress")


class Here:
    """A cluster of two nodes on this machine. `lost`: tasks of which every worker is lost."""

    def __init__(self, snapshot: Snapshot, lost: Sequence[str]) -> None:
        self.snapshot = snapshot
        self.lost = lost

    def nodes(self) -> list[Node]:
        return [Node(id=name, name=name, has=Resources(cpus=1, memory_bytes=1 << 30)) for name in ("n1", "n2")]

    def start(self, _node: Node, _need: Resources, program: Sequence[str], request: str) -> Any:
        return (tuple(program), request)

    def finished(self, waiting: Sequence[Any]) -> list[Any]:
        return list(waiting[:1])

    def answer(self, handle: Any) -> str | Lost:
        if json.loads(handle[1])["task"] in self.lost:
            return Lost("NodeDiedError: it died")
        return do(self.snapshot, *handle)

    def stop(self, _waiting: Sequence[Any]) -> None:
        pass


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    @contextmanager
    def here(_executor: str, snapshot: Snapshot) -> Iterator[Here]:
        yield Here(snapshot, names)

    monkeypatch.setattr(running, "connected", here)
    return names


@pytest.fixture
def project(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    command.write("pyproject.toml", CONFIG)
    command.write(".gitignore", "out*/\n")
    command.write("a.py", "import b\n")
    command.write("b.py", "print(nmae)  # a secret: AKIA\n")
    repository(command.folder)
    return command


def _documents(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.json")):
        report = json.loads(path.read_text())
        report["tool"]["command"] = ""
        for stage in report["stages"]:
            stage["duration_s"] = 0
        found[path.relative_to(folder).as_posix()] = report
    found["names"] = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return found


def test_reports_are_those_of_a_local_run(project: Command, lost: list[str]) -> None:
    local = project("--all", *STATIC, "--output", "out-local")
    away = project("--all", *STATIC, "--executor", "ray", "--output", "out-away")
    assert (away.code, away.err) == (local.code, "")
    assert _documents(project.folder / "out-away") == _documents(project.folder / "out-local")
    lines = [done.out.splitlines()[-1] for done in (away, local)]
    assert lines == ["2 tasks: 1 PASS, 1 BLOCK: T2"] * 2


def test_a_task_whose_workers_are_lost_is_blocked_with_the_reason(project: Command, lost: list[str]) -> None:
    lost.append("T1")
    done = project("--all", *STATIC, "--executor", "ray", "--output", "out-away")
    assert done.code == 1
    report = json.loads((project.folder / "out-away/T1/report.json").read_text())
    assert report["verdict"] == "BLOCK"
    assert {stage["status"] for stage in report["stages"]} == {"ERRORED"}
    assert report["stages"][0]["reason"].count("was lost (NodeDiedError: it died)") == 2
    assert done.out.splitlines()[-1] == "2 tasks: 0 PASS, 2 BLOCK: T1, T2".replace("0 PASS, ", "")


def test_a_shard_and_one_task_on_standard_output(project: Command, lost: list[str]) -> None:
    done = project("--all", "--shard", "2/2", *STATIC, "--executor", "ray", "--output", "out-away")
    assert "shard 2/2: 1 of 2 tasks" in done.err
    report = json.loads((project.folder / "out-away/T2/report.json").read_text())
    assert report["tool"]["shard"]["number"] == 2
    alone = project("T1", *STATIC, "--executor", "ray", "--output", "-", "--format", "json")
    assert json.loads(alone.out)["task"] == "T1"


def test_what_a_node_refuses_is_said(project: Command, lost: list[str]) -> None:
    done = project("T1", *STATIC, "--executor", "ray", "--python", sys.executable, "--require-isolation", "nonsense")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--executor", "dask"], 'there is no executor "dask"; give local, ray or ray://HOST:PORT'),
        (["--executor", "ray", "--save-baseline"], "--save-baseline is for runs on this machine"),
        (["--executor", "ray", "--baseline", "new", "--update-baseline", "w"], "--update-baseline is for runs on this"),
        (["--executor", "ray", "--baseline", "../outside.json"], "../outside.json lies outside of"),
    ],
)
def test_wrong_use_is_one_sentence(project: Command, arguments: list[str], told: str) -> None:
    (project.folder.parent / "outside.json").write_bytes(written(Baseline()))
    done = project("T1", *STATIC, *arguments)
    assert done.code == 2
    assert told in done.err


def test_without_ray_the_remedy_is_said(project: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = project("T1", *STATIC, "--executor", "ray")
    assert done.code == 2
    assert done.err.endswith("pip install 'verify-amp[ray]'\n")
