"""Score, status and verdict follow the contract's arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.api import Finding, Gate, GateStatus, Location, Severity, StageResult, StageStatus, Verdict
from verifier.scoring import settle_gate, stage_score, stage_status, task_score, verdict

severities = st.lists(st.sampled_from(list(Severity)))


def _result(status: StageStatus, score: int = 100) -> StageResult:
    return StageResult(number=1, name="s", title="S", status=status, score=score, checks_run=1, duration_s=0.0)


def _gate(status: GateStatus, sums_up: tuple[str, ...] = ()) -> Gate:
    return Gate(name="g", requirement="r", status=status, evidence="seen", sums_up=sums_up)


def _finding(rule: str, severity: Severity) -> Finding:
    return Finding(rule=rule, severity=severity, message="m", location=Location(path="a.py"))


def test_the_blocked_tree_scores_42() -> None:
    assert stage_score([Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM]) == 42


@given(severities, st.sampled_from(list(Severity)))
def test_a_finding_never_raises_the_score_and_it_stays_in_range(found: list[Severity], one: Severity) -> None:
    assert 0 <= stage_score([*found, one]) <= stage_score(found) <= 100


@pytest.mark.parametrize(
    ("gates", "blocked", "status"),
    [
        ([], False, StageStatus.PASSED),
        ([], True, StageStatus.FAILED),
        ([_gate(GateStatus.FAIL)], False, StageStatus.FAILED),
        ([_gate(GateStatus.WARN)], False, StageStatus.PASSED),
        ([_gate(GateStatus.DEFERRED)], False, StageStatus.DEFERRED),
        ([_gate(GateStatus.DEFERRED)], True, StageStatus.FAILED),
        ([_gate(GateStatus.DEFERRED), _gate(GateStatus.PASS)], False, StageStatus.PASSED),
    ],
)
def test_status_of_a_stage_that_ran(gates: list[Gate], blocked: bool, status: StageStatus) -> None:
    assert stage_status(gates, blocked=blocked) is status


@pytest.mark.parametrize("status", [StageStatus.FAILED, StageStatus.ERRORED, StageStatus.SKIPPED])
def test_one_stage_that_is_not_good_blocks(status: StageStatus) -> None:
    assert verdict([_result(StageStatus.PASSED), _result(status)]) is Verdict.BLOCK


def test_nothing_run_is_no_pass() -> None:
    assert verdict([]) is Verdict.BLOCK


def test_task_score_is_the_lowest() -> None:
    assert task_score([_result(StageStatus.PASSED, 90), _result(StageStatus.PASSED, 70)]) == 70


@pytest.mark.parametrize(
    ("findings", "stated", "settled"),
    [
        ([], GateStatus.PASS, GateStatus.PASS),
        ([], GateStatus.DEFERRED, GateStatus.DEFERRED),
        ([_finding("SCP001", Severity.CRITICAL)], GateStatus.PASS, GateStatus.FAIL),
        ([_finding("SCP003", Severity.LOW)], GateStatus.PASS, GateStatus.WARN),
        ([_finding("SCP003", Severity.INFO)], GateStatus.PASS, GateStatus.PASS),
        ([_finding("IMP001", Severity.CRITICAL)], GateStatus.PASS, GateStatus.PASS),
        ([_finding("SCP001", Severity.CRITICAL)], GateStatus.DEFERRED, GateStatus.FAIL),
    ],
)
def test_a_gate_that_sums_up_findings_is_settled_by_them(
    findings: list[Finding], stated: GateStatus, settled: GateStatus
) -> None:
    assert settle_gate(_gate(stated, ("SCP",)), findings, Severity.HIGH).status is settled


def test_a_gate_that_sums_up_nothing_keeps_its_word() -> None:
    gate = _gate(GateStatus.FAIL)
    assert settle_gate(gate, [_finding("SCP001", Severity.LOW)], Severity.HIGH) is gate


@pytest.mark.parametrize(
    ("kept", "left_out", "status"),
    [
        ([], [("SCP001", Severity.CRITICAL)], GateStatus.DEFERRED),
        ([], [("SCP001", Severity.LOW)], GateStatus.PASS),
        ([("SCP003", Severity.LOW)], [("SCP001", Severity.CRITICAL)], GateStatus.DEFERRED),
        ([("SCP003", Severity.HIGH)], [("SCP001", Severity.CRITICAL)], GateStatus.FAIL),
        ([], [("IMP001", Severity.CRITICAL)], GateStatus.PASS),
    ],
)
def test_a_gate_that_something_left_out_would_fail_is_deferred(
    kept: list[tuple[str, Severity]], left_out: list[tuple[str, Severity]], status: GateStatus
) -> None:
    findings = [[_finding(*item) for item in group] for group in (kept, left_out)]
    gate = _gate(GateStatus.PASS, ("SCP",))
    assert settle_gate(gate, findings[0], Severity.HIGH, findings[1]).status is status
