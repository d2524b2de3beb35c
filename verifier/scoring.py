"""Severities, gates and stages in; statuses, scores and the verdict out. Pure arithmetic of the contract."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

from verifier.model.finding import Finding, Severity
from verifier.model.report import Verdict
from verifier.model.stage import Gate, GateStatus, StageResult, StageStatus

COST = {
    Severity.CRITICAL: 35,
    Severity.HIGH: 15,
    Severity.MEDIUM: 8,
    Severity.LOW: 2,
    Severity.INFO: 0,
}


def stage_score(severities: Iterable[Severity]) -> int:
    """Return 100 less the cost of every finding, never below 0."""
    return max(0, 100 - sum(COST[severity] for severity in severities))


def settle_gate(
    gate: Gate,
    findings: Sequence[Finding],
    block_at: Severity,
    left_out: Sequence[Finding] = (),
    accepted: Sequence[Finding] = (),
) -> Gate:
    """Return a gate that sums up findings with the status that these findings give it; others unchanged.

    Args:
        accepted: findings that a baseline covers. They never fail the gate, but above INFO they make it WARN.
        left_out: findings of rules that this run does not report. They do not fail the gate, but where they
            would, the gate is not passed either: it is DEFERRED.
    """
    settled = _settled(gate, findings, block_at, accepted)
    whole = _settled(gate, [*findings, *left_out], block_at, accepted)
    if settled.status is GateStatus.FAIL or whole.status is not GateStatus.FAIL:
        return settled
    codes = sorted({finding.rule for finding in left_out if finding.rule.startswith(gate.sums_up)})
    reason = f"not decided: {', '.join(codes)}, left out of this run, would fail it"
    evidence = f"{reason}; {settled.evidence}" if settled.evidence else reason
    return dataclasses.replace(settled, status=GateStatus.DEFERRED, evidence=evidence)


def demand_device(gate: Gate, device: str | None) -> Gate:
    """Return a gate that is deferred for want of the device that `--require-device` asks for as failed."""
    if device is None or gate.status is not GateStatus.DEFERRED or device not in gate.lacks:
        return gate
    evidence = f"--require-device {device}: not decided here; {gate.evidence}"
    return dataclasses.replace(gate, status=GateStatus.FAIL, evidence=evidence)


def _settled(gate: Gate, findings: Sequence[Finding], block_at: Severity, accepted: Sequence[Finding]) -> Gate:
    found, old = (
        [finding for finding in group if gate.sums_up and finding.rule.startswith(gate.sums_up)]
        for group in (findings, accepted)
    )
    if not found and not old:
        return gate
    status = gate.status
    if any(finding.severity >= block_at for finding in found):
        status = GateStatus.FAIL
    elif any(finding.severity > Severity.INFO for finding in (*found, *old)):
        status = GateStatus.WARN
    if gate.at_most is not None and sum(1 + len(finding.related) for finding in found) > gate.at_most:
        status = GateStatus.FAIL
    known = f"in the baseline: {_counts(old)}" if old else ""
    evidence = "; ".join(part for part in (_counts(found), known, gate.evidence) if part)
    return dataclasses.replace(gate, status=status, evidence=evidence)


def _counts(findings: Sequence[Finding]) -> str:
    counts = Counter((finding.severity, finding.rule) for finding in findings)
    return ", ".join(f"{count} {rule} {level.name}" for (level, rule), count in sorted(counts.items(), reverse=True))


def stage_status(gates: Sequence[Gate], *, blocked: bool) -> StageStatus:
    """Return the status of a stage that ran to its end.

    Args:
        blocked: an unsuppressed finding of the stage blocks.
    """
    if blocked or any(gate.status is GateStatus.FAIL for gate in gates):
        return StageStatus.FAILED
    if gates and all(gate.status is GateStatus.DEFERRED for gate in gates):
        return StageStatus.DEFERRED
    return StageStatus.PASSED


def verdict(stages: Sequence[StageResult]) -> Verdict:
    """Return PASS only if every stage that was asked for ran and none failed; nothing run is no PASS."""
    good = {StageStatus.PASSED, StageStatus.DEFERRED}
    return Verdict.PASS if stages and all(stage.status in good for stage in stages) else Verdict.BLOCK


def task_score(stages: Sequence[StageResult]) -> int:
    """Return the lowest stage score."""
    return min((stage.score for stage in stages), default=0)
