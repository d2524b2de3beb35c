"""Judge the training runs: finite, falling losses in FP32 and under AMP, and the two in agreement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.wire import Evaluated, Made, Rejected, Stepped
from stages.integration.agreement import MEASURE, Agreement, agreement, decrease
from stages.integration.causes import Cause, Subject, place, raised_text, traceback_evidence
from stages.integration.endings import cause_of_probe, causes_of_ending
from stages.integration.judged import Judged
from stages.integration.rules import (
    run005_early_exit,
    run008_nonfinite_loss,
    run009_loss_not_decreasing,
    run010_amp_diverges_from_fp32,
    run011_workload_broken,
    run016_amp_without_effect,
)
from verifier.api import Evidence, Gate, GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import UnitResult, WorkloadUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json, RuleInfo

GATES = {
    "fp32-path": "every workload trains in FP32: losses are finite and fall by more than 5 %",
    "amp-path": "every workload trains under AMP: losses are finite and fall by more than 5 %",
    "amp-agreement": "AMP's losses end where FP32's do, within 10 % of what FP32 learned plus 1 % of its first loss",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run as it was reported."""

    workload: WorkloadUnit
    subject: Subject
    result: UnitResult | None
    losses: tuple[float, ...]
    precision: str | None
    device: str | None
    metrics: dict[str, float]
    causes: tuple[Cause, ...]

    @property
    def complete(self) -> bool:
        return len(self.losses) == self.workload.steps and all(map(math.isfinite, self.losses)) and not self.causes


def judge_training(
    workloads: Sequence[WorkloadUnit], report: ProbeReport, limits: Limits, configuration: Location
) -> Judged:
    """Judge all runs. They come in pairs of one factory: FP32 first, then AMP."""
    runs = [
        _run(workload, report.units.get(str(number)), report, limits, configuration)
        for number, workload in enumerate(workloads)
    ]
    pairs = list(zip(runs[::2], runs[1::2], strict=True))
    causes = [cause for run in runs for cause in run.causes]
    if not causes and any(run.result is None for run in runs):
        subject = Subject(name="workloads", doing="training the workloads", location=configuration)
        causes += filter(None, [cause_of_probe(report, subject, limits)])
    compared = [(fp32, amp, _compare(fp32, amp)) for fp32, amp in pairs]
    differing = [cause for fp32, amp, seen in compared if seen for cause in _differences(fp32, amp, seen)]
    gates = (
        _path_gate("fp32-path", [fp32 for fp32, _ in pairs], ()),
        _path_gate("amp-path", [amp for _, amp in pairs], differing),
        _agreement_gate(compared),
    )
    return Judged(
        checks_run=sum(run.result is not None for run in runs),
        causes=(*causes, *differing),
        gates=gates,
        facts={"workloads": [_fact(fp32, amp, seen) for fp32, amp, seen in compared], **_device(runs)},
        limitations=tuple(f"{sentence}" for sentence in _limitations(pairs)),
    )


def _run(
    workload: WorkloadUnit, unit: UnitReport | None, report: ProbeReport, limits: Limits, configuration: Location
) -> Run:
    items = unit.items if unit else ()
    made = next((item for item in items if isinstance(item, Made)), None)
    rejected = next((item for item in items if isinstance(item, Rejected)), None)
    known = made or rejected
    location = Location(path=known.path, line=max(1, known.line)) if known and known.path else configuration
    mode = "under AMP" if workload.amp else "in FP32"
    subject = Subject(name=f"{workload.factory} {mode}", doing=f"training {workload.factory} {mode}", location=location)
    losses = tuple(item.loss for item in items if isinstance(item, Stepped))
    causes: list[Cause] = []
    if unit is not None:
        causes = causes_of_ending(unit.result, subject, report, limits)
        causes += _broken(unit, rejected, subject)
        causes = causes or _losses(losses, workload, subject)
    metrics = next((item.metrics for item in items if isinstance(item, Evaluated)), {})
    return Run(
        workload=workload,
        subject=subject,
        result=unit.result if unit else None,
        losses=losses,
        precision=made.precision if made else None,
        device=made.device if made else None,
        metrics=metrics,
        causes=tuple(causes),
    )


def _broken(unit: UnitReport, rejected: Rejected | None, subject: Subject) -> list[Cause]:
    failure, phase = unit.result.failure, unit.result.phase
    if failure is not None and failure.type == "SystemExit":
        message = f"{subject.name} ends the program during {phase}: it calls sys.exit({failure.message})."
        location = place(failure.frames, subject.location)
        remedy = "Raise an exception that callers can handle instead of ending the program."
        cause = _cause(run005_early_exit.RULE, subject, message, remedy, location)
        return [_with_key(cause, (failure.type, location), traceback_evidence(failure))]
    if failure is not None:
        location = place(failure.frames, subject.location)
        message = f"{subject.name} raises {raised_text(failure)} during {phase}."
        cause = _cause(run011_workload_broken.RULE, subject, message, _remedy(failure.type, phase), location)
        return [_with_key(cause, (failure.type, failure.message, location), traceback_evidence(failure))]
    if rejected is not None:
        message = f"{subject.name} does not keep the contract of a workload: {rejected.message}."
        cause = _cause(run011_workload_broken.RULE, subject, message, _CONTRACT, subject.location)
        return [_with_key(cause, (rejected.message,))]
    return []


_CONTRACT = (
    "A workload is a factory called as factory(amp=..., seed=...); it returns an object whose step() trains one batch "
    "and returns the loss as float, and whose optional evaluate() maps names to numbers."
)


def _remedy(kind: str, phase: str) -> str:
    if phase.startswith("building") and kind == "TypeError":
        return "Give the factory the keyword parameters amp and seed. " + _CONTRACT
    return "Correct the line shown."


def _losses(losses: Sequence[float], workload: WorkloadUnit, subject: Subject) -> list[Cause]:
    bad = next((number for number, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    if bad is not None:
        before = f"the loss before was {losses[bad - 2]:.4g}" if bad > 1 else "it is the first step"
        message = f"{subject.name}: the loss of step {bad} of {workload.steps} is {losses[bad - 1]}; {before}."
        evidence = _curve("loss of every step up to the first that is not finite", losses)
        return [_with_key(_cause(run008_nonfinite_loss.RULE, subject, message, _NONFINITE), (subject.name,), evidence)]
    seen = decrease(losses)
    if seen.enough:
        return []
    message = (
        f"{subject.name}: the loss does not fall by 5 %: mean of the first {seen.samples} steps {seen.first:.4g}, "
        f"of the last {seen.samples} {seen.last:.4g}."
    )
    evidence = _curve(f"loss of {len(losses)} steps", losses)
    cause = _cause(run009_loss_not_decreasing.RULE, subject, message, _FLAT)
    return [_with_key(cause, (subject.name,), evidence)]


_NONFINITE = (
    "Find the first operation that gives NaN or infinity (torch.autograd.set_detect_anomaly shows it): a division "
    "by zero, a logarithm of zero, a learning rate too high, or in float16 a value above 65504; keep that part in "
    "FP32, and let GradScaler skip the step."
)
_FLAT = (
    "Check that optimizer.step() runs on every step, that gradients reach the parameters (loss.backward() before step, "
    "zero_grad() not between them), that clipping happens after scaler.unscale_(optimizer), and the learning rate."
)
_DIVERGES = (
    "Compare with the order scale(loss).backward() -> unscale_(optimizer) -> clip -> step(optimizer) -> update(); "
    "check that no gradient is used while it still carries the loss scale, and that reductions and losses run in FP32."
)
_NO_EFFECT = (
    "Pass the switch on to where autocast is entered: torch.autocast(device, dtype=..., enabled=amp) around the "
    "forward pass and the loss."
)


def _compare(fp32: Run, amp: Run) -> Agreement | None:
    usable = all(len(run.losses) == run.workload.steps and all(map(math.isfinite, run.losses)) for run in (fp32, amp))
    return agreement(fp32.losses, amp.losses) if usable else None


def _differences(fp32: Run, amp: Run, seen: Agreement) -> list[Cause]:
    name = amp.workload.factory
    if fp32.losses == amp.losses:
        message = f"{name} trains exactly the same with and without AMP: all {len(amp.losses)} losses are identical."
        return [_with_key(_cause(run016_amp_without_effect.RULE, amp.subject, message, _NO_EFFECT), (name,))]
    if seen.holds or amp.causes or fp32.causes:  # a run that is broken by itself is reported as that
        return []
    message = (
        f"{name} under AMP ends {seen.value:.4g} away from FP32 (mean loss of the last {seen.samples} steps); "
        f"{seen.tolerance:.4g} is the tolerance."
    )
    losses: dict[str, Json] = {"fp32": list(fp32.losses), "amp": list(amp.losses)}
    figures: dict[str, Json] = {"measure": MEASURE, "value": seen.value, "tolerance": seen.tolerance}
    evidence = Evidence(kind="measurement", summary=message, data=figures | losses | {"samples": seen.samples})
    return [_with_key(_cause(run010_amp_diverges_from_fp32.RULE, amp.subject, message, _DIVERGES), (name,), evidence)]


def _cause(rule: RuleInfo, subject: Subject, message: str, remediation: str, location: Location | None = None) -> Cause:
    return Cause(
        rule=rule,
        subject=subject,
        key=(),
        message=message,
        location=location or subject.location,
        remediation=remediation,
        impact="A job that trains this wastes its machine time, or ends in a model that is worse without a word."
        if rule is not run016_amp_without_effect.RULE
        else "",
    )


def _with_key(cause: Cause, key: tuple[object, ...], *evidence: Evidence) -> Cause:
    return Cause(
        rule=cause.rule,
        subject=cause.subject,
        key=key,
        message=cause.message,
        location=cause.location,
        remediation=cause.remediation,
        impact=cause.impact,
        evidence=evidence,
    )


def _curve(summary: str, losses: Sequence[float]) -> Evidence:
    return Evidence(kind="measurement", summary=summary, data={"losses": [_number(loss) for loss in losses]})


def _number(value: float) -> Json:
    """Return a finite number, or its name as text: JSON knows no NaN."""
    return value if math.isfinite(value) else str(value)


def _path_gate(name: str, runs: Sequence[Run], also: Sequence[Cause]) -> Gate:
    bad = [run for run in runs if not run.complete]
    status = GateStatus.FAIL if bad else GateStatus.PASS
    parts = []
    for run in runs:
        if run.complete:
            seen = decrease(run.losses)
            precision = run.precision or "precision not stated"
            parts.append(
                f"{run.workload.factory} ({precision}, {run.device}): loss {seen.first:.4g} -> {seen.last:.4g} "
                f"in {len(run.losses)} steps"
            )
        else:
            reason = run.causes[0].rule.name if run.causes else "not run"
            parts.append(f"{run.workload.factory}: {reason}")
    if status is GateStatus.PASS and any(cause.rule is run016_amp_without_effect.RULE for cause in also):
        status = GateStatus.WARN
        parts.append("AMP changed nothing")
    return Gate(name=name, requirement=GATES[name], status=status, evidence="; ".join(parts))


def _agreement_gate(compared: Sequence[tuple[Run, Run, Agreement | None]]) -> Gate:
    parts, good = [], True
    for fp32, amp, seen in compared:
        name = fp32.workload.factory
        if seen is None or fp32.causes or amp.causes:
            good = False
            figures = f" ({seen.value:.4g} apart, {seen.tolerance:.4g} allowed)" if seen else ""
            parts.append(f"{name}: not proven, for one of the two runs is broken{figures}")
        else:
            good = good and seen.holds
            sign = "<=" if seen.holds else ">"
            parts.append(
                f"{name}: {seen.value:.4g} {sign} {seen.tolerance:.4g} (mean loss of the last {seen.samples} steps)"
            )
    status = GateStatus.PASS if good else GateStatus.FAIL
    name = "amp-agreement"
    return Gate(name=name, requirement=GATES[name], status=status, evidence="; ".join(parts))


def _fact(fp32: Run, amp: Run, seen: Agreement | None) -> Json:
    return {
        "name": fp32.workload.factory,
        "device": fp32.device or amp.device,
        "steps": fp32.workload.steps,
        "fp32": _run_fact(fp32),
        "amp": _run_fact(amp),
        "agreement": {
            "measure": MEASURE,
            "value": seen.value if seen else None,
            "tolerance": seen.tolerance if seen else None,
            "samples": seen.samples if seen else 0,
        },
    }


def _run_fact(run: Run) -> Json:
    return {
        "precision": run.precision,
        "losses": [_number(loss) for loss in run.losses],
        "duration_s": round(run.result.duration_s, 3) if run.result else 0.0,
        "metrics": {name: _number(value) for name, value in sorted(run.metrics.items())},
    }


def _device(runs: Sequence[Run]) -> dict[str, Json]:
    devices: list[str] = sorted({run.device for run in runs if run.device})
    return {"device": ", ".join(devices)} if devices else {}


def _limitations(pairs: Sequence[tuple[Run, Run]]) -> list[str]:
    said = ["loss curves cannot show every mistake: an optimizer such as Adam hides wrongly scaled gradients"]
    for _fp32, amp in pairs:
        if amp.precision == "fp32":
            said.append(f"{amp.workload.factory} trained in fp32 under AMP too: low precision was not exercised here")
        if amp.precision is None and amp.result is not None:
            said.append(f"{amp.workload.factory} does not say in which precision it trained (attribute `precision`)")
    return said
