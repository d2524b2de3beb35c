"""Judge what reaches the parameters under AMP against FP32, and a resumed run against a straight one."""

from __future__ import annotations

import math
import typing
from typing import TYPE_CHECKING

from amp_runtime.wire import Resumed, UpdatesCompared, to_json
from stages.integration.causes import Cause, Subject
from stages.integration.gates import GATES
from stages.integration.judged import Judged
from stages.integration.rules import run010_amp_diverges_from_fp32, run024_resume_differs
from stages.integration.training_runs import training_cause
from stages.integration.unit_causes import causes_of_unit
from verifier.api import Evidence, Gate, GateStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import Difference, WorkloadUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json, Location

UPDATES, RESUME = "amp-updates", "resume"
_FIX = (
    "Look at how the loss is scaled and its gradients are unscaled before this optimizer; for single tensors, at the "
    "layer's arithmetic in low precision."
)
_REPEAT = "Correct the line shown; the workload is built and trained several times in one process to be compared."
_RESUME_FIX = "Save and load what is named with the rest: {wrong}."


def judge_updates(
    workloads: Sequence[WorkloadUnit],
    report: ProbeReport,
    limits: Limits,
    configuration: Location,
    known: frozenset[str] = frozenset(),
) -> Judged:
    """Judge the comparisons of all workloads.

    Args:
        known: workloads whose losses diverge, or that are broken, and are reported for that.
    """
    causes: list[Cause] = []
    updates: list[tuple[str, UpdatesCompared]] = []
    resumed: list[tuple[str, Resumed]] = []
    silent = []
    for number, workload in enumerate(workloads):
        unit = report.units.get(f"updates {number}")
        subject = _subject(workload, configuration)
        before = len(updates)
        ended = unit is not None and _take(workload.factory, unit, updates, resumed)
        if not ended or (workload.factory in known and len(updates) == before):
            silent.append(workload.factory)
        if unit is not None and workload.factory not in known:
            causes += causes_of_unit(workload.factory, subject, unit, report, limits, _REPEAT)
    for name, seen in updates:
        if seen.steps and not seen.holds and name not in known:
            causes.append(_differs(name, seen, configuration))
    causes += [_not_resumed(name, seen, configuration) for name, seen in resumed if not seen.holds]
    gates = [_update_gate(updates, silent), *_resume_gate(resumed)]
    facts: list[Json] = [{"name": name, **typing.cast("dict[str, Json]", to_json(seen))} for name, seen in updates]
    saved: list[Json] = [{"name": name, **typing.cast("dict[str, Json]", to_json(seen))} for name, seen in resumed]
    return Judged(
        checks_run=len(updates) + len(resumed),
        causes=tuple(causes),
        gates=tuple(gates),
        facts={"updates": facts, "resumed": saved},
        limitations=tuple(_limitations(workloads, updates, resumed, silent)),
    )


def _take(
    name: str, unit: UnitReport, updates: list[tuple[str, UpdatesCompared]], resumed: list[tuple[str, Resumed]]
) -> bool:
    """Sort the evidence of one workload in; whether its process came to its end."""
    for item in unit.items:
        if isinstance(item, UpdatesCompared):
            updates.append((name, item))
        elif isinstance(item, Resumed):
            resumed.append((name, item))
    return unit.result.status == "ok"


def _subject(workload: WorkloadUnit, configuration: Location) -> Subject:
    doing = f"comparing the updates of {workload.factory}"
    return Subject(name=f"{workload.factory} compared", doing=doing, location=configuration)


def _differs(name: str, seen: UpdatesCompared, configuration: Location) -> Cause:
    subject = Subject(name=name, doing=f"training {name}", location=configuration)
    message = f"{name} under AMP does not update its parameters as in FP32: {seen.reason or _worst(seen)}."
    data = typing.cast("dict[str, Json]", to_json(seen))
    summary = f"{seen.steps} effective steps against FP32 and {seen.runs} FP32 runs under rounding noise"
    evidence = Evidence(kind="measurement", summary=summary, data=data)
    return training_cause(run010_amp_diverges_from_fp32.RULE, subject, (name, "updates"), message, _FIX, evidence)


def _worst(seen: UpdatesCompared) -> str:
    bad = [one for one in (*seen.whole, *seen.tensors) if not one.holds]
    whole = next((one for one in bad if one.tensor is None), None)
    return _said(whole if whole is not None else bad[0])


def _said(one: Difference) -> str:
    what = "the gradient" if one.tensor is None else f"the gradient of parameter {one.tensor}"
    place = f"in step {one.step} {what} that optimizer {one.optimizer + 1} received"
    if one.ratio <= 0:
        return f"{place} is zero or not finite"
    if abs(math.log(one.ratio)) > one.ratio_allowed:
        allowed = math.exp(one.ratio_allowed) - 1
        return (
            f"{place} is {one.ratio:.4g} times as long as in FP32, where rounding changes it by {allowed:.2%} at most"
        )
    return f"{place} is turned by {one.angle:.3g} rad, where rounding turns it by {one.angle_allowed:.3g} at most"


def _not_resumed(name: str, seen: Resumed, configuration: Location) -> Cause:
    subject = Subject(name=name, doing=f"resuming {name}", location=configuration)
    wrong = ", ".join(seen.wrong)
    message = f"{name} saved after {seen.steps} steps and resumed differs from a straight run in its {wrong}."
    data = typing.cast("dict[str, Json]", to_json(seen))
    evidence = Evidence(kind="measurement", summary="losses of both runs", data=data)
    fix = _RESUME_FIX.format(wrong=wrong)
    return training_cause(run024_resume_differs.RULE, subject, (name, "resume"), message, fix, evidence)


def _update_gate(updates: Sequence[tuple[str, UpdatesCompared]], silent: Sequence[str]) -> Gate:
    said = [_compared(name, seen) for name, seen in updates] + [f"{name}: not compared" for name in silent]
    stepped = [seen for _name, seen in updates if seen.steps]
    status = GateStatus.PASS
    if silent or any(not seen.holds for seen in stepped):
        status = GateStatus.FAIL
    elif not stepped:
        status = GateStatus.DEFERRED
        said = said or ["no workload trains in float16 or bfloat16 with an optimizer of torch here"]
    return Gate(name=UPDATES, requirement=GATES[UPDATES], status=status, evidence="; ".join(said))


def _compared(name: str, seen: UpdatesCompared) -> str:
    if not seen.whole:
        return f"{name}: {seen.reason}"
    widest = max(seen.whole, key=lambda one: one.angle / one.angle_allowed)
    again = "" if seen.deterministic else ", FP32 twice is not bit for bit the same"
    left_out = f", {seen.skipped} skipped ones left out" if seen.skipped else ""
    if not seen.holds:
        return f"{name}: {_worst(seen)}"
    return (
        f"{name}: {seen.steps} steps{left_out}, turned by at most {widest.angle:.2g} of {widest.angle_allowed:.2g} rad "
        f"that rounding may{again}"
    )


def _resume_gate(resumed: Sequence[tuple[str, Resumed]]) -> list[Gate]:
    if not resumed:
        return []
    status = GateStatus.PASS if all(seen.holds for _name, seen in resumed) else GateStatus.FAIL
    said = "; ".join(f"{name}: {'the same' if seen.holds else ', '.join(seen.wrong)}" for name, seen in resumed)
    return [Gate(name=RESUME, requirement=GATES[RESUME], status=status, evidence=said)]


def _limitations(
    workloads: Sequence[WorkloadUnit],
    updates: Sequence[tuple[str, UpdatesCompared]],
    resumed: Sequence[tuple[str, Resumed]],
    silent: Sequence[str],
) -> list[str]:
    said = []
    compared, kept = {name for name, _seen in updates}, {name for name, _seen in resumed}
    for workload in workloads:
        name = workload.factory
        if name in silent:
            continue
        if name not in compared:
            said.append(f"{name} does not train in float16 or bfloat16 here: its updates were not compared")
        if name not in kept:
            said.append(f"{name} has no state_dict() and load_state_dict(): a resumed run was not compared")
    return said
