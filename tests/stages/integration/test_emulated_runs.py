"""What fails under CUDA's autocast alone is a finding; what the emulation may be to blame for is not decided."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from amp_runtime.wire import Emulated, Failure, Frame, Made, Stepped, UnitResult, WorkloadUnit
from stages._probe.records import UnitReport
from stages.integration.emulated_runs import judge_emulated
from verifier.api import Finding, Gate, GateStatus, Location, load_plugins

UNIT = WorkloadUnit(factory="work:toy", amp=True, steps=2, seed=0, emulate=True)
MADE = Made(precision="fp16", device="cuda:0", path="work.py", line=7)
LIMITS = Emulated(limits=("TF32 does not happen.",))


def judge(*items: Any, **result: Any) -> tuple[Gate, tuple[Finding, ...], tuple[str, ...]]:
    values = {"unit": "0", "status": "ok", "phase": "step 2 of 2", "duration_s": 1.0} | result
    unit = UnitReport(result=UnitResult(**values), items=items)
    report: Any = SimpleNamespace(units={"0": unit})
    judged, found = judge_emulated([UNIT], report, Location(path="pyproject.toml"), load_plugins().rules)
    return judged.gates[0], found, judged.limitations


def raised(kind: str, message: str = "no") -> dict[str, Any]:
    frames = (Frame(path="work.py", line=30, function="step"),)
    return {"status": "raised", "failure": Failure(type=kind, message=message, frames=frames)}


def test_a_training_that_goes_through_passes_and_the_limits_are_said() -> None:
    gate, found, limitations = judge(LIMITS, MADE, Stepped(step=1, loss=2.0), Stepped(step=2, loss=1.0))
    assert (gate.status, gate.evidence, found) == (GateStatus.PASS, "work:toy: 2 steps, losses finite", ())
    assert limitations == ("under emulation: TF32 does not happen.",)


def test_a_clash_of_dtypes_is_a_finding_on_its_line() -> None:
    gate, (found,), _ = judge(LIMITS, MADE, **raised("RuntimeError", "expected scalar type Half but found Float"))
    assert (found.rule, found.location.path, found.location.line) == ("AMP901", "work.py", 30)
    assert found.message == (
        "work:toy trains under AMP on the CPU, and under CUDA's autocast raises RuntimeError: "
        "expected scalar type Half but found Float during step 2 of 2."
    )
    assert gate.sums_up == ("AMP901",)


def test_a_loss_that_is_lost_only_there_is_a_finding_of_the_workload() -> None:
    _, (found,), _ = judge(LIMITS, MADE, Stepped(step=1, loss=2.0), Stepped(step=2, loss=float("nan")))
    assert (found.location.path, found.location.line) == ("work.py", 7)
    assert "the loss of step 2 is nan" in found.message


@pytest.mark.parametrize(
    ("items", "result", "said"),
    [
        ((Emulated(limits=(), problem="an old torch"),), {}, "CUDA cannot be emulated here: an old torch"),
        ((LIMITS, MADE), raised("NotImplementedError"), "the emulation does not carry it: NotImplementedError: no"),
        ((LIMITS, MADE), {"status": "signal", "code": 11}, "the run did not end in order (signal during step 2 of 2)"),
        ((LIMITS, MADE), {"status": "timeout"}, "the run did not end in order (timeout during step 2 of 2)"),
    ],
)
def test_what_may_be_a_gap_of_the_emulation_is_deferred(items: Any, result: dict[str, Any], said: str) -> None:
    gate, found, _ = judge(*items, **result)
    assert (gate.status, gate.evidence, found) == (GateStatus.DEFERRED, f"work:toy: {said}", ())


def test_what_was_not_run_is_deferred() -> None:
    report: Any = SimpleNamespace(units={})
    judged, found = judge_emulated([UNIT], report, Location(path="pyproject.toml"), load_plugins().rules)
    assert (judged.gates[0].status, found) == (GateStatus.DEFERRED, ())
