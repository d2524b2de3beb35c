"""Judges acceptance lines by the gates that they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from verifier.model.report import Acceptance, Deferred, Proof
from verifier.model.stage import Gate, GateStatus, StageResult

if TYPE_CHECKING:
    from verifier.model.task import Criterion


def judge_acceptance(criteria: Sequence[Criterion], stages: Sequence[StageResult]) -> tuple[Acceptance, ...]:
    """Return each line with its proof: PROVEN only if every gate it names passed in this run."""
    gates = {f"{stage.name}:{gate.name}": gate for stage in stages for gate in stage.gates}
    return tuple(_judge(criterion, gates) for criterion in criteria)


def _judge(criterion: Criterion, gates: dict[str, Gate]) -> Acceptance:
    found = [(reference, gates.get(reference)) for reference in criterion.proven_by]
    passed = [gate is not None and gate.status in (GateStatus.PASS, GateStatus.WARN) for _, gate in found]
    deferred = [gate is not None and gate.status is GateStatus.DEFERRED for _, gate in found]
    if all(passed):
        status = Proof.PROVEN
    elif all(ok or later for ok, later in zip(passed, deferred, strict=True)):
        status = Proof.DEFERRED
    else:
        status = Proof.NOT_PROVEN
    said = ", ".join(f"{name} {gate.status if gate else 'was not decided in this run'}" for name, gate in found)
    return Acceptance(text=criterion.text, status=status, proven_by=criterion.proven_by, evidence=said)


def deferred_gates(stages: Sequence[StageResult]) -> tuple[Deferred, ...]:
    """Return every gate that could not be decided here, with its reason."""
    return tuple(
        Deferred(stage=stage.name, gate=gate.name, reason=gate.evidence)
        for stage in stages
        for gate in stage.gates
        if gate.status is GateStatus.DEFERRED
    )
