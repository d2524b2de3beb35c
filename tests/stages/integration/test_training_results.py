"""Training must run, learn, and agree with itself under AMP; each way not to is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stages.integration.projects import WORKLOAD, at, gate, integrate, only
from verifier.api import GateStatus

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.api import StageOutcome


def train(root: Path, text: str, **more: object) -> StageOutcome:
    return integrate(root, {"work.py": text}, workloads=("work:toy",), **more)  # type: ignore[arg-type]


def steps(amp: str, fp32: str = "0.95 ** self.n") -> str:
    """Write a workload whose n-th loss is an expression."""
    return f"""
class Training:
    def __init__(self, amp):
        self.amp, self.n, self.precision = amp, 0, "bf16" if amp else "fp32"

    def step(self):
        self.n += 1
        if self.amp:
            return {amp}
        return {fp32}


def toy(*, amp, seed):
    return Training(amp)
"""


def test_a_workload_that_learns_in_both_passes_with_its_curves_in_the_facts(tmp_path: Path) -> None:
    outcome = train(tmp_path, WORKLOAD)
    assert outcome.findings == ()
    deferred = {gate.name for gate in outcome.gates if gate.status is not GateStatus.PASS}
    assert deferred == {"amp-updates"}  # it steps no optimizer of torch, so there are none to compare
    assert [gate.name for gate in outcome.gates] == ["imports", "fp32-path", "amp-path", "amp-agreement", "amp-updates"]
    (fact,) = outcome.facts["workloads"]
    assert (fact["name"], fact["steps"], fact["device"]) == ("work:toy", 40, "cpu")
    assert fact["fp32"]["precision"] == "fp32"
    assert fact["amp"]["precision"] == "bf16"
    assert len(fact["amp"]["losses"]) == 40
    assert 0 < fact["agreement"]["value"] <= fact["agreement"]["tolerance"]


def test_a_nan_loss_is_named_with_its_step_and_fails_only_its_path(tmp_path: Path) -> None:
    outcome = train(tmp_path, steps(amp="float('nan') if self.n == 7 else 0.95 ** self.n"))
    finding = only(outcome)
    assert at(finding) == ("RUN008", "work.py", 12)
    assert "step 7 of 40 is nan" in finding.message
    statuses = {gate.name: gate.status for gate in outcome.gates}
    assert statuses["fp32-path"] is GateStatus.PASS
    assert statuses["amp-path"] is GateStatus.FAIL
    assert statuses["amp-agreement"] is GateStatus.FAIL
    assert outcome.facts["workloads"][0]["amp"]["losses"][-1] == "nan"


def test_a_run_that_does_not_learn_under_amp_fails(tmp_path: Path) -> None:
    outcome = train(tmp_path, steps(amp="1.0 - self.n * 1e-6"))
    assert only(outcome).rule == "RUN009"
    assert "In FP32 it falls from" in only(outcome).message
    assert "unscale_" in only(outcome).remediation
    assert gate(outcome, "amp-path").status is GateStatus.FAIL
    assert gate(outcome, "amp-agreement").status is GateStatus.FAIL


def test_a_workload_that_learns_in_neither_is_one_finding(tmp_path: Path) -> None:
    outcome = train(tmp_path, steps(amp="1.0 - self.n * 1e-6", fp32="1.0 - self.n * 1e-7"))
    assert at(only(outcome)) == ("RUN009", "work.py", 12)
    assert len(only(outcome).related) == 1


def test_a_run_that_learns_less_under_amp_diverges(tmp_path: Path) -> None:
    outcome = train(tmp_path, steps(amp="0.98 ** self.n"))
    finding = only(outcome)
    assert finding.rule == "RUN010"
    assert finding.evidence[0].data["samples"] == 10
    assert "unscale_" in finding.remediation
    assert gate(outcome, "amp-path").status is GateStatus.PASS
    assert gate(outcome, "amp-agreement").status is GateStatus.FAIL


def test_amp_that_changes_nothing_is_a_warning_not_a_pass(tmp_path: Path) -> None:
    outcome = train(tmp_path, steps(amp="0.95 ** self.n"))
    assert only(outcome).rule == "RUN016"
    assert gate(outcome, "amp-path").status is GateStatus.WARN


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("other = 1\n", "has no 'toy'"),
        ("toy = 3\n", "cannot be called"),
        ("def toy(*, amp, seed): return object()\n", "no step() method"),
        ("def toy(seed): ...\n", "unexpected keyword argument 'amp'"),
        ("def toy(*, amp, seed): raise ValueError('no data')\n", "ValueError: no data"),
        (steps(amp="'0.5'", fp32="'0.5'"), "returned str and not a number"),
        (steps(amp="None", fp32="None"), "returned NoneType and not a number"),
        (steps(amp="1 / 0", fp32="1 / 0"), "ZeroDivisionError"),
    ],
)
def test_a_broken_workload_is_one_finding_for_both_runs(tmp_path: Path, text: str, says: str) -> None:
    outcome = train(tmp_path, text)
    assert [finding.rule for finding in outcome.findings if finding.rule != "RUN011"] == []
    assert says in " ".join(finding.message for finding in outcome.findings)
    assert {gate.status for gate in outcome.gates if gate.name != "imports"} == {GateStatus.FAIL}


def test_a_module_that_is_not_there_is_a_broken_workload(tmp_path: Path) -> None:
    outcome = integrate(tmp_path, {"work.py": WORKLOAD}, workloads=("gone:toy",))
    assert only(outcome).rule == "RUN011"
    assert "No module named 'gone'" in only(outcome).message


def test_sys_exit_in_a_factory_is_an_early_exit(tmp_path: Path) -> None:
    outcome = train(tmp_path, "import sys\ndef toy(*, amp, seed):\n    sys.exit(0)\n")
    assert at(only(outcome)) == ("RUN005", "work.py", 3)


def test_os_exit_after_a_few_steps_is_no_success(tmp_path: Path) -> None:
    text = steps(amp="__import__('os')._exit(0) if self.n == 5 else 0.9 ** self.n")
    outcome = train(tmp_path, text)
    assert at(only(outcome)) == ("RUN005", "work.py", 8)
    assert gate(outcome, "amp-path").status is GateStatus.FAIL


def test_a_step_that_hangs_is_stopped(tmp_path: Path) -> None:
    outcome = train(tmp_path, steps(amp="__import__('time').sleep(60) or 1.0"), time_limit_s=4.0)
    assert at(only(outcome)) == ("RUN004", "work.py", 8)
    assert gate(outcome, "fp32-path").status is GateStatus.PASS


def test_evaluation_runs_and_must_map_names_to_numbers(tmp_path: Path) -> None:
    good = train(
        tmp_path, WORKLOAD.replace("    def step", "    def evaluate(self):\n        return {'a': 1}\n\n    def step")
    )
    assert good.facts["workloads"][0]["fp32"]["metrics"] == {"a": 1.0}
    bad = train(tmp_path, WORKLOAD.replace("    def step", "    def evaluate(self):\n        return 3\n\n    def step"))
    assert only(bad).rule == "RUN011"


def test_without_workloads_there_is_no_training_gate_and_the_report_says_so(tmp_path: Path) -> None:
    outcome = integrate(tmp_path, {"a.py": "x = 1\n"})
    assert [gate.name for gate in outcome.gates] == ["imports"]
    assert any("no training step was run" in said for said in outcome.facts["limitations"])
