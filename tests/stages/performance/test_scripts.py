"""A script is timed as it is, in pairs of runs: by the steps that are seen in it, and by nothing that it says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amp_runtime.wire import Hello, ScriptTimed, UnitResult
from stages._probe.limits import Limits
from stages._probe.records import ProbeReport, UnitReport
from stages.performance.scripts import PAIRS, ScriptRuns, is_decided, pairs_of, read_runs, read_script
from stages.performance.stage import STAGE
from tests.builders import run_stage
from tests.stages.performance.measured import device, requirement
from verifier.api import GateStatus, RunOptions, Script

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = Script(run=("train.py", "--quick"), amp=("--amp",))
TRAIN = """
import contextlib
import sys
import torch

amp = "--amp" in sys.argv
torch.manual_seed(0)
model = torch.nn.Linear(8, 8)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(16, 8)
for _ in range(int(sys.argv[1])):
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
        loss = (model(x).float() - 1).square().mean()
    loss.backward()
    optimizer.step()
"""


def run_of(step_s: float, loss: float) -> ScriptTimed:
    return ScriptTimed(start_s=1.0, step_s=(step_s,) * 20, losses=(loss,) * 21, skipped=0, exit_code=0, stopped=True)


def runs(fp32_s: Sequence[float], amp_s: Sequence[float]) -> ScriptRuns:
    return ScriptRuns(
        name="train.py",
        fp32=tuple(run_of(seconds, 0.5) for seconds in fp32_s),
        amp=tuple(run_of(seconds, 0.51) for seconds in amp_s),
        amp_led=tuple(number % 2 == 0 for number in range(len(fp32_s))),
        problems=(),
        device=device(),
    )


def test_each_pair_holds_both_modes_in_an_order_that_a_coin_gave():
    pairs = pairs_of(SCRIPT, 40, seed=0)
    assert all({unit.mode for unit in pair} == {"fp32", "amp"} for pair in pairs)
    led = sum(pair[0].mode == "amp" for pair in pairs)
    assert 10 < led < 30
    assert pairs == pairs_of(SCRIPT, 40, seed=0)
    amp = next(unit for unit in pairs[0] if unit.mode == "amp")
    assert (amp.shown, amp.arguments) == ("train.py", ("--quick", "--amp"))


def test_pairs_give_the_speedup_with_an_interval_that_may_decide():
    found = read_script(runs([0.2] * PAIRS, [0.1, 0.11, 0.09, 0.1, 0.1, 0.1, 0.1, 0.12]))
    speedup = found.figures["speedup"]
    assert speedup.value == pytest.approx(2)
    assert (speedup.low, speedup.high) == (pytest.approx(0.2 / 0.12), pytest.approx(0.2 / 0.09))
    assert speedup.confidence >= 0.99
    assert found.figures["loss-difference"].value == pytest.approx(0.01)
    assert "measure this of a workload" in found.missing["memory-reduction"]


def test_more_pairs_are_wanted_only_where_the_first_do_not_decide():
    bound = requirement("speedup", ">=1.5").bounds["any"]
    assert is_decided(runs([0.2] * PAIRS, [0.1] * PAIRS), bound)
    assert not is_decided(runs([0.2] * PAIRS, [0.1, 0.2] * (PAIRS // 2)), bound)
    assert is_decided(runs([0.2] * PAIRS, [0.1, 0.2] * (PAIRS // 2)), None)


def test_a_real_script_is_timed_in_both_modes(tmp_path: Path):
    (tmp_path / "train.py").write_text(TRAIN)
    script = Script(run=("train.py", "12"), amp=("--amp",))
    options = RunOptions(time_limit_s=240.0, python=Path(sys.executable))
    outcome = run_stage(STAGE, tmp_path, ["train.py"], options=options, scripts=(script,))
    assert [(gate.name, gate.status) for gate in outcome.gates] == [("measured", GateStatus.PASS)], outcome.gates
    (fact,) = outcome.facts["measurements"]
    assert (fact["name"], fact["kind"], fact["device"], fact["precision"]) == ("train.py", "script", "cpu", "bf16")
    assert fact["native"] in (True, False)
    assert fact["comparisons"][0]["samples"] == 3
    assert abs(fact["figures"]["loss-difference"]["value"]) < 0.05


def test_a_script_of_too_few_steps_is_not_measured():
    (pair,) = pairs_of(SCRIPT, 1, seed=0)
    short = replace(run_of(0.1, 0.5), step_s=(0.1, 0.1), losses=(0.5,) * 3)
    units = {
        f"script {place}": UnitReport(
            result=UnitResult(unit=f"script {place}", status="ok", phase="end", duration_s=1.0), items=(short,)
        )
        for place in (0, 1)
    }
    hello = Hello(python="3.11", preloaded={}, missing={}, layers={}, mechanisms={})
    report = ProbeReport(
        hello=hello, units=units, ending="complete", code=0, output_tail="", peak_bytes=0, duration_s=1.0, layers={}
    )
    found = read_script(read_runs(SCRIPT, [pair], report, Limits(time_s=9, phase_s=9, memory_bytes=1 << 30)))
    (problem,) = found.problems
    assert "3 of its training steps were seen" in problem.message
    assert not found.complete
    assert problem.location.path == "train.py"
