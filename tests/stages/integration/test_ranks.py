"""A training on several processes is watched in each of them, however they were started, and told by rank."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amp_runtime.wire import ScriptUnit
from stages._probe.client import Work, run_probe
from stages._probe.isolation import AS_THE_MACHINE_HAS
from stages._probe.limits import Limits
from stages.integration.alarms import hazards
from stages.integration.execution import WATCHED
from stages.integration.script_results import judge_scripts, read_scripts
from tests.stages.integration.projects import write
from verifier.api import GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages.integration.script_results import ScriptRun

LIMITS = Limits(time_s=240.0, phase_s=240.0, memory_bytes=12 << 30)

_RANK = """
import os
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

def train(rank, port=0, leave=False):
    if port:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=2)
    else:
        dist.init_process_group("gloo")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for number in range(5):
        x = torch.randn(16, 8)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = torch.nn.functional.mse_loss(model(x).float(), x.sum(1, keepdim=True))
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        {clip}
        scaler.step(optimizer)
        scaler.update()
    dist.destroy_process_group()
    if leave and rank == 1:
        os._exit(0)
"""
_CLIP = "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"
_GOOD, _BAD = _RANK.replace("{clip}", f"scaler.unscale_(optimizer); {_CLIP}"), _RANK.replace("{clip}", _CLIP)
_ONLY_ONE = _RANK.replace("{clip}", f"rank or scaler.unscale_(optimizer); {_CLIP}")
_SPAWNED = """
if __name__ == "__main__":
    import socket
    import torch.multiprocessing as mp
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(train, args=(port, "--leave" in sys.argv), nprocs=2, start_method={method!r})
"""

PROJECT = {
    "launched.py": _BAD + '\ntrain(int(os.environ["RANK"]))\n',
    "spawned.py": _ONLY_ONE + _SPAWNED.format(method="spawn"),
    "forked.py": _GOOD + _SPAWNED.format(method="fork"),
    "sitecustomize.py": "import os\nos.environ['OF_THE_PROJECT'] = 'yes'\n",
    "alone.py": _GOOD
    + """
import subprocess
if __name__ == "__main__":
    assert "OF_THE_PROJECT" not in os.environ
    program = "import os, sitecustomize; print('child', os.environ['OF_THE_PROJECT'], sitecustomize.__file__)"
    path = os.pathsep.join([os.environ["PYTHONPATH"], os.getcwd()])
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": path})
""",
}
LAUNCH = ("--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "launched.py")


def unit(name: str, *arguments: str, **more: object) -> ScriptUnit:
    return ScriptUnit(target=name, shown=name, arguments=arguments, folder="", **more)  # type: ignore[arg-type]


UNITS = {
    "launched": replace(unit("torch.distributed.run", *LAUNCH, module=True, steps=3), shown="launched.py"),
    "spawned": unit("spawned.py"),
    "forked": unit("forked.py"),
    "left": unit("forked.py", "--leave"),
    "alone": unit("alone.py"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, ScriptRun]:
    """Return what became of each, by the name of its unit, from one harness."""
    root = tmp_path_factory.mktemp("project")
    write(root, PROJECT)
    work = Work(
        probe="scripts",
        root=root,
        python=Path(sys.executable),
        paths=(),
        preload=WATCHED,
        scripts=tuple(UNITS.values()),
        isolation=replace(AS_THE_MACHINE_HAS, network=True),
    )
    report = run_probe(work, LIMITS)
    runs = read_scripts(list(UNITS.values()), [Location(path="x.py")] * len(UNITS), report, LIMITS)
    assert report.ending == "complete", report.output_tail
    return dict(zip(UNITS, runs, strict=True))


@pytest.mark.parametrize("name", ["spawned", "forked"])
def test_every_rank_is_watched_and_named(ran: Mapping[str, ScriptRun], name: str) -> None:
    run = ran[name]
    assert (run.causes, run.finished) == ((), True)
    assert [(one.rank, one.world, one.complete, one.stopped) for one in run.ranks] == [
        (0, 2, True, False),
        (1, 2, True, False),
    ]
    assert [one.report.watched.steps for one in run.ranks] == [5, 5]
    shown = run.script.shown
    assert [one.name for one in run.watching] == [f"{shown}, rank 0 of 2", f"{shown}, rank 1 of 2"]
    (gate,) = judge_scripts([run], object(), LIMITS).gates  # type: ignore[arg-type]
    assert gate.status is GateStatus.PASS
    assert gate.evidence == f"{shown}: 5 steps in each of 2 processes, ran to its end"
    assert run.end is not None
    assert run.end.devices == ("cpu",)


def test_a_hazard_in_all_ranks_is_told_once_with_each_of_them(ran: Mapping[str, ScriptRun]) -> None:
    (hazard,) = hazards(ran["launched"].watching)
    assert (hazard.code, hazard.location.path) == ("AMP103", "launched.py")
    assert [one.name for one, _ in hazard.seen] == ["launched.py, rank 0 of 2", "launched.py, rank 1 of 2"]


def test_a_hazard_in_one_rank_is_told_of_that_one(ran: Mapping[str, ScriptRun]) -> None:
    (hazard,) = hazards(ran["spawned"].watching)
    assert (hazard.code, hazard.location.path) == ("AMP103", "spawned.py")
    assert [one.name for one, _ in hazard.seen] == ["spawned.py, rank 1 of 2"]
    assert hazards(ran["forked"].watching) == ()


def test_ranks_are_ended_after_the_steps_asked_for(ran: Mapping[str, ScriptRun]) -> None:
    run = ran["launched"]
    assert run.causes == ()
    assert [(one.rank, one.report.watched.steps, one.stopped) for one in run.ranks] == [(0, 3, True), (1, 3, True)]
    assert run.end is not None
    assert (run.end.stopped, run.end.exit_code) == (True, 0)


def test_a_rank_that_vanishes_has_proven_nothing(ran: Mapping[str, ScriptRun]) -> None:
    (cause,) = ran["left"].causes
    assert cause.rule.code == "RUN020"
    assert cause.message.startswith("forked.py, rank 1 of 2, was ended from outside or by os._exit")


def test_a_process_without_training_is_no_rank_and_keeps_its_own_startup_file(ran: Mapping[str, ScriptRun]) -> None:
    run = ran["alone"]
    assert run.ranks == ()
    assert [cause.message for cause in run.causes] == [
        "alone.py ended without a single training step: no backward ran in it."
    ]
