"""Judge whether the models of the workloads are right when they are compiled."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING

from amp_runtime.wire import CompileChecked, to_json
from stages.integration.causes import Cause, Subject
from stages.integration.gates import GATES
from stages.integration.judged import Judged
from stages.integration.rules import run017_acceptance_not_met
from stages.integration.training_runs import training_cause
from stages.integration.unit_causes import causes_of_unit
from verifier.api import Evidence, Gate, GateStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import WorkloadUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json, Location

NAME = "compile-equivalence"
_REMEDY = (
    "Find the operator with torch._dynamo's minifier or by compiling parts of the model, leave it out of compilation "
    "(torch.compiler.disable), and report it to PyTorch; or take the line out of the acceptance criteria."
)
_REPEAT = "Correct the line shown; the workload is built once more, and its model called many times, to be compared."


def judge_compiled(
    workloads: Sequence[WorkloadUnit], report: ProbeReport, limits: Limits, configuration: Location
) -> Judged:
    """Judge the compiled model of every workload: right, wrong, or not to be decided on this machine."""
    causes: list[Cause] = []
    found: list[tuple[str, CompileChecked | None]] = []
    for number, workload in enumerate(workloads):
        unit = report.units.get(f"compiled {number}")
        seen = _seen(unit)
        found.append((workload.factory, seen))
        subject = _subject(workload, configuration)
        if unit is not None:
            causes += causes_of_unit(workload.factory, subject, unit, report, limits, _REPEAT)
        if seen is not None and not seen.validated and not seen.missing:
            causes.append(_wrong(workload, seen, subject))
    facts: list[Json] = [
        {"name": name, **typing.cast("dict[str, Json]", to_json(seen))} for name, seen in found if seen is not None
    ]
    return Judged(
        checks_run=sum(len(seen.passes) for _name, seen in found if seen is not None),
        causes=tuple(causes),
        gates=(_gate(found),),
        facts={"compiled": facts},
    )


def _seen(unit: UnitReport | None) -> CompileChecked | None:
    items = unit.items if unit is not None and unit.result.status == "ok" else ()
    return next((item for item in items if isinstance(item, CompileChecked)), None)


def _subject(workload: WorkloadUnit, configuration: Location) -> Subject:
    doing = f"compiling the model of {workload.factory}"
    return Subject(name=f"{workload.factory} compiled", doing=doing, location=configuration)


def _wrong(workload: WorkloadUnit, seen: CompileChecked, subject: Subject) -> Cause:
    message = (
        f"the model of {workload.factory}, {seen.model}, is not proven right under torch.compile: {seen.reason}; "
        f"the acceptance criteria ask for integration:{NAME}, {GATES[NAME]}."
    )
    summary = "errors of the compiled and the eager model against float64, pass by pass"
    evidence = Evidence(kind="measurement", summary=summary, data=typing.cast("dict[str, Json]", to_json(seen)))
    key = (NAME, workload.factory)
    return training_cause(run017_acceptance_not_met.RULE, subject, key, message, _REMEDY, evidence)


def _gate(found: Sequence[tuple[str, CompileChecked | None]]) -> Gate:
    status = GateStatus.PASS
    if any(seen is None or not (seen.validated or seen.missing) for _name, seen in found):
        status = GateStatus.FAIL
    elif any(seen is not None and seen.missing for _name, seen in found):
        status = GateStatus.DEFERRED
    said = "; ".join(_said(name, seen) for name, seen in found)
    return Gate(name=NAME, requirement=GATES[NAME], status=status, evidence=said)


def _said(name: str, seen: CompileChecked | None) -> str:
    if seen is None:
        return f"{name}: not compared"
    if seen.missing:
        return f"{name}: {seen.missing}"
    if not seen.validated:
        return f"{name}: {seen.reason}"
    tensors = sum(one.tensors for one in seen.passes)
    worst = max((one.worst_ratio for one in seen.passes), default=1.0)
    breaks = sum((seen.graph_breaks or {}).values())
    return (
        f"{name} ({seen.backend}, {', '.join(seen.precisions)}): {tensors} tensors in {len(seen.passes)} passes, "
        f"largest error {worst:.2f} times the eager one, {seen.graphs} graphs, {breaks} graph breaks"
    )
