"""Judge the runs of workloads on an emulated CUDA device: does AMP train under CUDA's autocast too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.wire import Emulated, Made, Stepped
from stages.integration.causes import place, raised_text, traceback_evidence
from stages.integration.gates import CUDA_POLICY, GATES
from stages.integration.heard import EMULATED
from stages.integration.judged import Judged
from stages.integration.remedies import remedy_for
from verifier.api import Evidence, Finding, Gate, GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amp_runtime.wire import Failure, WorkloadUnit
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import RuleInfo

STEPS = 4
# What may be a gap of the emulation and no fault of the program: an operator or attribute that it lacks.
_GAPS = ("NotImplementedError", "AttributeError", "ImportError", "ModuleNotFoundError", "OSError", "OutOfMemoryError")
_REMEDY = "Correct the line shown for CUDA's autocast; `python -m amp_runtime.emulation` prints what it casts to what."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    name: str
    status: GateStatus
    said: str
    finding: Finding | None = None


def judge_emulated(
    units: Sequence[WorkloadUnit], report: ProbeReport, configuration: Location, rules: Mapping[str, RuleInfo]
) -> tuple[Judged, tuple[Finding, ...]]:
    """Judge the runs, and return a finding for each workload that trains on the CPU and fails under CUDA's rules."""
    seen = [_judge(unit, report.units.get(str(n)), configuration, rules) for n, unit in enumerate(units)]
    statuses = {one.status for one in seen}
    gate = Gate(
        name=CUDA_POLICY,
        requirement=GATES[CUDA_POLICY],
        status=GateStatus.DEFERRED if GateStatus.DEFERRED in statuses else GateStatus.PASS,
        evidence="; ".join(f"{one.name}: {one.said}" for one in seen),
        sums_up=(EMULATED,),
    )
    emulated = [item for unit in report.units.values() for item in unit.items if isinstance(item, Emulated)]
    limits = dict.fromkeys(f"under emulation: {line}" for item in emulated for line in item.limits)
    judged = Judged(checks_run=len(report.units), gates=(gate,), limitations=tuple(limits))
    return judged, tuple(one.finding for one in seen if one.finding is not None)


def _judge(unit: WorkloadUnit, ran: UnitReport | None, configuration: Location, rules: Mapping[str, RuleInfo]) -> _Seen:
    """Judge one run. Where it ends otherwise than by its own exception, the emulation may be at fault: not proven."""

    def deferred(why: str) -> _Seen:
        return _Seen(name=unit.factory, status=GateStatus.DEFERRED, said=why)

    if ran is None:
        return deferred("not run: the time of the stage was up")
    if problem := next((item.problem for item in ran.items if isinstance(item, Emulated) and item.problem), ""):
        return deferred(f"CUDA cannot be emulated here: {problem}")
    failure, losses = ran.result.failure, [item.loss for item in ran.items if isinstance(item, Stepped)]
    if failure is not None and failure.type in _GAPS:
        return deferred(f"the emulation does not carry it: {raised_text(failure)}")
    if failure is None and ran.result.status != "ok":
        return deferred(f"the run did not end in order ({ran.result.status} during {ran.result.phase})")
    bad = next((number for number, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    if failure is None and bad is None:
        return _Seen(name=unit.factory, status=GateStatus.PASS, said=f"{len(losses)} steps, losses finite")
    made = next((item for item in ran.items if isinstance(item, Made)), None)
    start = Location(path=made.path, line=max(1, made.line)) if made and made.path else configuration
    finding = _finding(unit, failure, ran.result.phase, losses, start, rules[EMULATED])
    return _Seen(name=unit.factory, status=GateStatus.PASS, said="trains on the CPU and not so", finding=finding)


def _finding(
    unit: WorkloadUnit,
    failure: Failure | None,
    phase: str,
    losses: Sequence[float],
    start: Location,
    rule: RuleInfo,
) -> Finding:
    trains = f"{unit.factory} trains under AMP on the CPU, and under CUDA's autocast"
    if failure is not None:
        message, location = f"{trains} raises {raised_text(failure)} during {phase}.", place(failure.frames, start)
        evidence, remedy = traceback_evidence(failure), remedy_for(failure, _REMEDY)
    else:
        message, location = f"{trains} the loss of step {len(losses)} is {losses[-1]}.", start
        shown = [str(loss) for loss in losses]
        evidence = Evidence(kind="measurement", summary="the loss of every step", data={"losses": shown})
        remedy = "Find the operation that overflows float16 there, and keep it in float32."
    return Finding(
        rule=rule.code,
        severity=rule.severity,
        message=message,
        location=location,
        symbol=unit.factory,
        evidence=(evidence,),
        why=rule.why,
        impact="It passes on the machines without a GPU, and fails at the first step on one with.",
        remediation=remedy,
    )
