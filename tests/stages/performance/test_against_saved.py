"""A run is kept and a later one compared with it, in real processes: a slower step blocks once others bear it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.performance.stage import STAGE, verifier_baseline
from tests.builders import run_report, run_stage, stage_result
from tests.stages.performance.measured import requirement
from verifier.api import Gate, RunOptions, StageOutcome

TOY = """
import torch

class Training:
    precision = "bf16"

    def __init__(self):
        self.model = torch.nn.Linear(64, 64)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.data = torch.ones(256, 64)

    def step(self):
        for _ in range({rounds}):
            self.optimizer.zero_grad()
            loss = self.model(self.data).square().mean()
            loss.backward()
            self.optimizer.step()
        return float(loss)

def toy(*, amp, seed):
    return Training()
"""
NAME = "toy:toy"


def measure(root: Path, rounds: int, *required: Any) -> StageOutcome:
    (root / "toy.py").write_text(TOY.format(rounds=rounds))
    options = RunOptions(time_limit_s=240.0)
    return run_stage(STAGE, root, ["toy.py"], options=options, workloads=(NAME,), requirements=required)


def regression(outcome: StageOutcome) -> Gate | None:
    return next((gate for gate in outcome.gates if gate.name == "regression"), None)


def keep(root: Path, outcome: StageOutcome, task: str) -> None:
    stage = stage_result(number=4, name="performance", facts=outcome.facts)
    for file in verifier_baseline(run_report(stage, task=task), root, "a busy machine must not fail this test"):
        (root / file.path).parent.mkdir(parents=True, exist_ok=True)
        (root / file.path).write_text(file.text)


def test_a_step_that_takes_a_multiple_blocks_after_more_processes(tmp_path: Path) -> None:
    first = measure(tmp_path, 2)
    assert regression(first) is None, "nothing asks for it, and nothing is saved"
    (fact,) = first.facts["measurements"]
    assert ("reference", "amp") in [(one["first"], one["second"]) for one in fact["comparisons"]]
    keep(tmp_path, first, "T")
    slow = measure(tmp_path, 40, requirement("regression", "<=50%", measured=(NAME,)))
    gate = regression(slow)
    assert gate is not None
    assert gate.status == "FAIL", gate.evidence
    assert "3 new processes" in gate.evidence
    assert {one.rule for one in slow.findings if one.rule != "PRF005"} == {"PRF003"}
    (fact,) = slow.facts["measurements"]
    assert {one["second"] for one in fact["comparisons"] if one["first"] == "reference"} == {"fp32", "amp"}
    (baseline,) = slow.facts["baselines"]
    assert (baseline["runs"], len(baseline["history"])) == (1, 1)
