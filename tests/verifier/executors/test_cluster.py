"""A real Ray cluster of three nodes on this machine: same verdict, GPUs for those that need them, a node killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from verifier.executors.cluster import Cluster, connected
from verifier.executors.dispatch import Job, dispatch
from verifier.executors.snapshot import take
from verifier.model.stage import Resources

pytest.importorskip("ray")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240), pytest.mark.xdist_group("ray")]
CONFIG = '[tool.verifier.tasks.T1]\nfiles = ["a.py"]\n[tool.verifier.tasks.T2]\nfiles = ["b.py"]\n'
STORE = 80 << 20
MEMORY = 1 << 30
# Waits for ever the first time, says which GPU it sees the second time.
SCRIPT = """
import os, sys, time
mark = sys.argv[3]
try:
    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    time.sleep(600)
except FileExistsError:
    pass
open(sys.argv[2], "w").write(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that takes no tasks, a plain node, and one that says it has a GPU."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster as Local

    head = {"num_cpus": 0, "object_store_memory": STORE, "memory": 0, "include_dashboard": False}
    made = Local(initialize_head=True, head_node_args=head)
    made.add_node(num_cpus=2, object_store_memory=STORE, memory=MEMORY)
    made.add_node(num_cpus=1, num_gpus=1, object_store_memory=STORE, memory=MEMORY)
    made.wait_for_nodes()
    yield made
    made.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text(CONFIG)
    (root / "a.py").write_text("import b\n")
    (root / "b.py").write_text("print(nmae)\n")
    return root


@pytest.fixture
def joined(cluster: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with connected("ray", take(project)) as found:
        yield found


def test_verdicts_and_reports_are_those_of_a_local_run(cluster: Any, project: Path) -> None:
    reports = {}
    for executor in ("local", "ray"):
        command = [sys.executable, "-P", "-m", "verifier", "--all", "--stage", "syntax", "--executor", executor]
        done = subprocess.run(
            [*command, "--output", f"../{executor}"],
            cwd=project,
            env=os.environ | {"RAY_ADDRESS": cluster.address},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert done.stdout.splitlines()[-1] == "2 tasks: 1 PASS, 1 BLOCK: T2"
        for task in ("T1", "T2"):
            report = json.loads((project.parent / executor / task / "report.json").read_text())
            report["tool"]["command"] = ""
            report["stages"][0]["duration_s"] = 0
            reports[executor, task] = report
    assert all(reports["local", task] == reports["ray", task] for task in ("T1", "T2"))


def test_gpu_tasks_run_where_gpus_are(joined: Cluster, tmp_path: Path) -> None:
    program = _program(tmp_path, waits=False)
    nodes = {node.name: node for node in joined.nodes()}
    told: dict[str, str] = {}
    jobs = [
        Job(task="gpu", need=Resources(gpus=1, memory_bytes=1), request="{}"),
        Job(task="plain", need=Resources(memory_bytes=1), request="{}"),
    ]
    outcomes = dispatch(joined, jobs, program, told.setdefault)
    seen = {outcome.job.task: outcome.answer for outcome in outcomes}
    where = {task: nodes[line.removeprefix("running on node ")].has.gpus for task, line in told.items()}
    assert where == {"gpu": 1, "plain": 0}
    assert seen["gpu"] == "0"


def test_a_node_that_is_killed_in_the_middle_costs_a_second_attempt_elsewhere(
    cluster: Any, joined: Cluster, tmp_path: Path
) -> None:
    program = _program(tmp_path, waits=True)
    told: list[str] = []

    def kill() -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        (victim,) = [node for node in cluster.worker_nodes if f"({node.node_id[:8]})" in told[0]]
        cluster.remove_node(victim, allow_graceful=False)

    killing = threading.Thread(target=kill)
    killing.start()
    job = Job(task="T", need=Resources(memory_bytes=1), request="{}")
    (outcome,) = dispatch(joined, [job], program, lambda _task, line: told.append(line))
    killing.join()
    assert (outcome.failed, outcome.answer != "") == ("", True)
    assert len(told) == 3
    assert "was lost (" in told[1]
    assert told[0] != told[2]


def _program(folder: Path, *, waits: bool) -> tuple[str, ...]:
    """Return what a node runs; its marks lie in a folder that all nodes of this machine see."""
    mark = folder / "started"
    if not waits:
        mark.touch()
    script = folder / "script.py"
    script.write_text(SCRIPT.replace("sys.argv[3]", repr(str(mark))))
    return (str(script),)
