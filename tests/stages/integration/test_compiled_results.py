"""A compiled model is right, wrong, or not to be decided here; the gate says which, and only where it is asked."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amp_runtime.wire import CompileChecked, CompiledPass, Hello, UnitResult, WorkloadUnit
from stages._probe.client import run_probe
from stages._probe.limits import Limits
from stages._probe.records import ProbeReport, UnitReport
from stages._probe.work import Work
from stages.integration.compiled_results import NAME, judge_compiled
from stages.integration.gates import requested
from verifier.api import Criterion, GateStatus, Location, Requirement, Task

if TYPE_CHECKING:
    from stages.integration.judged import Judged

RIGHT = CompileChecked(
    model="Net",
    backend="inductor",
    precisions=("fp32", "bf16"),
    validated=True,
    reason="",
    passes=(CompiledPass(precision="fp32", which="train", tensors=7, worst_ratio=1.25, holds=True),),
    graphs=2,
    graph_breaks={"print": 3},
)
WRONG = replace(RIGHT, validated=False, reason="while validating (bf16, train): output: it is not finite")
MISSING = replace(RIGHT, validated=False, reason="no C++ compiler", missing="no C++ compiler", passes=())
LIMITS = Limits(time_s=10.0, phase_s=10.0, memory_bytes=2**30)


def judged(*seen: CompileChecked | None) -> Judged:
    units = {}
    for number, one in enumerate(seen):
        result = UnitResult(unit=f"compiled {number}", status="ok", phase="end", duration_s=1.0)
        units[result.unit] = UnitReport(result=result, items=() if one is None else (one,))
    workloads = [WorkloadUnit(factory=f"work:toy{n}", amp=True, steps=8, seed=0) for n in range(len(seen))]
    hello = Hello(python="3", preloaded={}, missing={}, layers={}, mechanisms={})
    report = ProbeReport(
        hello=hello, units=units, ending="complete", code=0, output_tail="", peak_bytes=0, duration_s=1.0, layers={}
    )
    return judge_compiled(workloads, report, LIMITS, Location(path="pyproject.toml"))


@pytest.mark.parametrize(
    ("seen", "status", "findings"),
    [
        ((RIGHT, RIGHT), GateStatus.PASS, 0),
        ((RIGHT, WRONG), GateStatus.FAIL, 1),
        ((RIGHT, MISSING), GateStatus.DEFERRED, 0),
        ((WRONG, MISSING), GateStatus.FAIL, 1),
        ((RIGHT, None), GateStatus.FAIL, 0),
    ],
)
def test_what_is_not_shown_is_not_passed(seen, status, findings):
    found = judged(*seen)
    assert found.gates[0].status is status
    assert len(found.causes) == findings


def test_the_evidence_says_what_was_seen():
    said = judged(RIGHT, WRONG, MISSING).gates[0].evidence
    assert "7 tensors in 1 passes, largest error 1.25 times the eager one, 2 graphs, 3 graph breaks" in said
    assert "it is not finite" in said
    assert "no C++ compiler" in said


WORK = """
import torch

class Training:
    precision = "fp32"

    def __init__(self, seed):
        self.model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh())

    def step(self):
        loss = self.model(torch.ones(4, 8)).sum()
        loss.backward()
        return loss.item()

def toy(*, amp, seed):
    return Training(seed)
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_model_is_compiled_for_real_in_the_cage(tmp_path: Path):
    (tmp_path / "work.py").write_text(WORK, encoding="utf-8")
    unit = WorkloadUnit(factory="work:toy", amp=True, steps=6, seed=0)
    work = Work(
        probe="workloads",
        root=tmp_path,
        python=Path(sys.executable),
        paths=(str(tmp_path),),
        preload=("torch",),
        needs=("torch",),
        compiled=(unit,),
    )
    limits = Limits(time_s=280.0, phase_s=280.0, memory_bytes=1 << 33)
    found = judge_compiled([unit], run_probe(work, limits), limits, Location(path="pyproject.toml"))
    assert found.gates[0].status is GateStatus.PASS, (found.gates[0].evidence, found.causes)
    assert found.gates[0].evidence.startswith("work:toy (inductor, fp32)")


def test_a_requirement_on_compiled_speed_rests_on_it():
    wanted = Requirement(name="compile-speedup")
    assert NAME in requested(Task(name="T", title="T", files=("a.py",), requirements=(wanted,)))
    other = Requirement(name="speedup")
    assert NAME not in requested(Task(name="T", title="T", files=("a.py",), requirements=(other,)))


def test_nobody_pays_for_it_who_did_not_ask():
    line = Criterion(text="it may be compiled", proven_by=(f"integration:{NAME}",))
    tasks = [Task(name="T", title="T", files=("a.py",), acceptance=lines) for lines in ((), (line,))]
    assert [NAME in requested(task) for task in tasks] == [False, True]
