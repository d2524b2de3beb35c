"""Real workloads in real processes: what was measured passes, what was not fails with its true cause."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from amp_runtime.calibration import (
    CalibrationMetadata,
    HardwareCalibration,
    PrecisionCapabilityMatrix,
    machine_class,
    profile_path,
    save_profile,
    this_machine,
)
from stages.performance.stage import STAGE
from tests.builders import run_stage
from tests.stages.performance.measured import requirement
from verifier.api import Gate, GateStatus, RunOptions, StageStatus
from verifier.scoring import stage_status

if TYPE_CHECKING:
    from verifier.api import StageOutcome

# Without torch: only FP32 waits, and both are as accurate.
TOY = """
import time

class Training:
    samples_per_step = 4

    def __init__(self, amp, seed):
        self.precision = "bf16" if amp else "fp32"
        self.pause, self.seed = 0 if amp else 0.02, seed

    def step(self):
        time.sleep(self.pause)
        return 1.0

    def evaluate(self):
        return {"accuracy": 0.9 + self.seed / 1000, "loss": 0.5}

def toy(*, amp, seed):
    return Training(amp, seed)
"""
NAME = "toy:toy"
TORCH = """
import torch

class Training:
    def __init__(self, amp):
        self.amp, self.precision = amp, "bf16" if amp else "fp32"
        self.model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.x = torch.randn(128, 64)

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.amp):
            loss = self.model(self.x).float().square().mean()
        loss.backward()
        self.optimizer.step()
        return loss.item()

def toy(*, amp, seed):
    return Training(amp)
"""


def measure(
    root: Path, source: str = TOY, options: RunOptions | None = None, names: tuple[str, ...] = (NAME,), **required: Any
) -> StageOutcome:
    (root / "toy.py").write_text(source)
    asked = tuple(requirement(name.replace("_", "-"), said, measured=names) for name, said in required.items())
    options = options or RunOptions(time_limit_s=120.0)
    return run_stage(STAGE, root, ["toy.py"], options=options, workloads=names, requirements=asked)


def gates(outcome: StageOutcome) -> dict[str, Gate]:
    return {gate.name: gate for gate in outcome.gates}


def test_it_is_stage_4_and_needs_an_integration_that_did_not_fail():
    assert (STAGE.number, STAGE.name, STAGE.runs_code) == (4, "performance", True)
    assert [(need.stage, need.must_pass) for need in STAGE.needs] == [("integration", True)]


def test_a_workload_is_measured_and_its_facts_are_laid_out(tmp_path: Path):
    outcome = measure(tmp_path, throughput=">=100 steps/s", accuracy_difference="<0.01")
    found = gates(outcome)
    assert found["measured"].status is GateStatus.PASS, found["measured"]
    assert found["accuracy-difference"].status is GateStatus.PASS, found["accuracy-difference"]
    assert found["throughput"].status is GateStatus.DEFERRED  # nothing says what this CPU computes in
    (fact,) = outcome.facts["measurements"]
    (paired,) = fact["comparisons"]
    assert (paired["first"], paired["second"]) == ("fp32", "amp")
    assert len(paired["first_s"]) == len(paired["second_s"]) == len(paired["second_led"]) == paired["samples"]
    assert fact["figures"]["speedup"]["low"] > 1
    assert {"value", "low", "high", "confidence", "samples", "unit", "method", "device", "dtype"} == set(
        fact["figures"]["speedup"]
    )
    assert fact["quality"]["seeds"] == [0, 1, 2, 3, 4]
    assert set(fact["modes"]) == {"fp32", "amp"}
    assert fact["modes"]["fp32"]["step_s"] > 0.01
    assert fact["missing"]["memory-reduction"].startswith("torch is not loaded")


def test_memory_work_and_roofline_of_a_model_are_measured(tmp_path: Path):
    matrix = PrecisionCapabilityMatrix(hardware_name="here", peak_gflops_by_precision={"bf16": 50.0})
    here = this_machine()
    metadata = CalibrationMetadata(
        hardware_name="here",
        calibration_date="2026-01-01T00:00:00+00:00",
        platform_architecture=here.architecture,
        machine_class=machine_class("cpu"),
        cpu_model=here.cpu_model,
    )
    profile = HardwareCalibration(metadata=metadata, measured_bandwidth_gbps=10.0, precision_matrix=matrix)
    save_profile(profile, profile_path(tmp_path))
    outcome = measure(tmp_path, TORCH, RunOptions(time_limit_s=240.0), memory_reduction=">=20%", roofline_share=">=1%")
    found = gates(outcome)
    assert (found["measured"].status, found["memory-reduction"].status) == (GateStatus.PASS, GateStatus.PASS), found
    (fact,) = outcome.facts["measurements"]
    forward = 2 * 128 * 64 * 256 * 2
    assert fact["modes"]["fp32"]["flops"] == fact["modes"]["amp"]["flops"] == 3 * forward - 2 * 128 * 64 * 256
    assert fact["modes"]["fp32"]["memory"]["weights"] == 4 * (2 * 64 * 256 + 256 + 64)
    assert fact["roofline"]["bound_by"] in ("compute", "memory")
    assert fact["figures"]["roofline-share"]["value"] > 0
    assert fact["machine_class"] == machine_class("cpu")
    decided = GateStatus.DEFERRED if not fact["native"] else found["roofline-share"].status
    assert found["roofline-share"].status is decided
    assert [one["first"] for one in fact["comparisons"]] == ["fp32", "reference"]


def test_without_requirements_it_is_measured_all_the_same(tmp_path: Path):
    outcome = measure(tmp_path)
    assert [gate.name for gate in outcome.gates] == ["measured"]
    assert outcome.facts["measurements"][0]["quality"] is None


def test_nothing_declared_is_deferred_and_starts_no_process(tmp_path: Path):
    outcome = measure(tmp_path, names=())
    assert [gate.status for gate in outcome.gates] == [GateStatus.DEFERRED]
    assert stage_status(outcome.gates, blocked=False) is StageStatus.DEFERRED
    assert "declares no workloads" in outcome.gates[0].evidence


@pytest.mark.parametrize(
    ("change", "said", "line"),
    [
        (
            ("return 1.0", "raise ValueError('no data')"),
            "toy:toy raises ValueError: no data during: the first step",
            12,
        ),
        (("time.sleep(self.pause)", "__import__('os')._exit(0)"), "ended the process with exit code 0 during", 11),
        (("return Training(amp, seed)", "return object()"), "has no step() method", 17),
        (("def toy(", "def other("), "cannot be called", 1),
    ],
)
def test_what_could_not_be_measured_fails_with_its_cause(tmp_path: Path, change: tuple[str, str], said: str, line: int):
    outcome = measure(tmp_path, TOY.replace(*change).removeprefix("\n"), speedup=">=1.5")
    assert {name: gate.status for name, gate in gates(outcome).items()} == {
        "measured": GateStatus.FAIL,
        "speedup": GateStatus.FAIL,
    }
    broken = next(finding for finding in outcome.findings if finding.rule == "PRF002")
    assert said in broken.message
    assert (broken.location.path, broken.location.line) == ("toy.py", line)


def test_a_workload_that_never_ends_is_stopped_and_named(tmp_path: Path):
    source = TOY.replace("time.sleep(self.pause)", "time.sleep(60)")
    outcome = measure(tmp_path, source, RunOptions(time_limit_s=3.0))
    (found,) = outcome.findings
    assert found.rule == "PRF002"
    assert "the first step" in found.message
    assert gates(outcome)["measured"].status is GateStatus.FAIL


def test_one_cause_in_two_workloads_is_one_finding(tmp_path: Path):
    source = TOY.replace("return 1.0", "raise ValueError('no data')") + "\ntwin = toy\n"
    outcome = measure(tmp_path, source, names=(NAME, "toy:twin"))
    (found,) = outcome.findings
    assert [one.message for one in found.related] == ["toy:twin fails for the same reason"]
