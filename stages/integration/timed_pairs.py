"""Judge the steps that were timed in FP32 and under AMP against each other: that they were, not how fast they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amp_runtime.wire import Paired
from stages.integration.causes import Cause, Subject
from stages.integration.gates import GATES
from stages.integration.judged import Judged
from stages.integration.unit_causes import causes_of_unit
from verifier.api import Gate, GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import WorkloadUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json

_NAME = "step-times"


def judge_pairs(
    workloads: Sequence[WorkloadUnit], report: ProbeReport, limits: Limits, configuration: Location
) -> Judged:
    """Judge whether every pair was timed, and report the ratios with their intervals."""
    causes: list[Cause] = []
    said, facts = [], []
    timed = 0
    for number, workload in enumerate(workloads):
        unit = report.units.get(f"pair {number}")
        found = None if unit is None else next((item for item in unit.items if isinstance(item, Paired)), None)
        if unit is not None:
            causes += _causes(workload, unit, report, limits, configuration)
        if found is None:
            said.append(f"{workload.factory}: not timed")
            continue
        timed += 1
        said.append(_evidence(workload, found))
        facts.append(_fact(workload, found))
    passed = timed == len(workloads) and not causes
    status = GateStatus.PASS if passed else GateStatus.FAIL
    gate = Gate(name=_NAME, requirement=GATES[_NAME], status=status, evidence="; ".join(said))
    return Judged(checks_run=timed, causes=tuple(causes), gates=(gate,), facts={"step_times": facts})


def _causes(
    workload: WorkloadUnit, unit: UnitReport, report: ProbeReport, limits: Limits, configuration: Location
) -> list[Cause]:
    doing = f"timing {workload.factory} in FP32 and under AMP"
    subject = Subject(name=f"{workload.factory} in pairs", doing=doing, location=configuration)
    remediation = "Correct the line shown; both workloads, FP32 and AMP, live in one process while they are timed."
    return causes_of_unit(workload.factory, subject, unit, report, limits, remediation)


def _evidence(workload: WorkloadUnit, found: Paired) -> str:
    precision = found.precision or "precision not stated"
    interval = f"{found.confidence:.0%} interval {found.low:.2f} to {found.high:.2f}"
    return (
        f"{workload.factory} ({precision}, {found.device}): FP32 takes {found.ratio:.2f} times as long as AMP "
        f"({interval}, {len(found.fp32_s)} pairs)"
    )


def _fact(workload: WorkloadUnit, found: Paired) -> Json:
    return {
        "name": workload.factory,
        "device": found.device,
        "precision": found.precision,
        "ratio": found.ratio,
        "low": found.low,
        "high": found.high,
        "confidence": found.confidence,
        "samples": len(found.fp32_s),
        "method": found.method,
        "fp32_s": list(found.fp32_s),
        "amp_s": list(found.amp_s),
        "amp_led": list(found.amp_led),
    }
