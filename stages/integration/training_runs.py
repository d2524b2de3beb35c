"""Read one training run from its evidence, and say what is wrong with it by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amp_runtime.wire import Evaluated, Made, Observed, Rejected, Stepped
from stages.integration.agreement import decrease
from stages.integration.causes import Cause, Subject, origin_of, place, raised_text, traceback_evidence
from stages.integration.endings import causes_of_ending
from stages.integration.remedies import remedy_for
from stages.integration.rules import (
    run005_early_exit,
    run008_nonfinite_loss,
    run009_loss_not_decreasing,
    run011_workload_broken,
)
from verifier.api import Evidence, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import UnitResult, WorkloadUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json, RuleInfo

IMPACT = "A job that trains this wastes its machine time, or ends in a worse model without a word."
_CONTRACT = (
    "A workload is a factory called as factory(amp=..., seed=...); it returns an object whose step() trains one batch "
    "and returns the loss as float, and whose optional evaluate() maps names to numbers."
)
NONFINITE = (
    "Find the first operation that gives NaN or infinity (torch.autograd.set_detect_anomaly shows it): a division "
    "by zero, a logarithm of zero, a learning rate too high, or in float16 a value above 65504; keep that part in "
    "FP32, and let GradScaler skip the step."
)
_FLAT = (
    "Check that optimizer.step() runs on every step, that gradients reach the parameters (loss.backward() before step, "
    "zero_grad() not between them), that clipping happens after scaler.unscale_(optimizer), and the learning rate."
)


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
    observed: Observed | None = None

    @property
    def finished(self) -> bool:
        """Whether every step gave a finite loss; it may still not have learned."""
        return len(self.losses) == self.workload.steps and all(map(math.isfinite, self.losses))

    @property
    def learned(self) -> bool:
        return self.finished and not self.causes


def read_run(
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
    return Run(
        workload=workload,
        subject=subject,
        result=unit.result if unit else None,
        losses=losses,
        precision=made.precision if made else None,
        device=made.device if made else None,
        metrics=next((item.metrics for item in items if isinstance(item, Evaluated)), {}),
        causes=tuple(causes),
        observed=next((item for item in items if isinstance(item, Observed)), None),
    )


def training_cause(
    rule: RuleInfo, subject: Subject, key: tuple[object, ...], message: str, remediation: str, *evidence: Evidence
) -> Cause:
    return Cause(
        rule=rule,
        subject=subject,
        key=key,
        message=message,
        location=subject.location,
        remediation=remediation,
        impact=IMPACT,
        evidence=evidence,
    )


def _broken(unit: UnitReport, rejected: Rejected | None, subject: Subject) -> list[Cause]:
    failure, phase = unit.result.failure, unit.result.phase
    if failure is not None:
        location = place(failure.frames, subject.location)
        rule, remedy = run011_workload_broken.RULE, remedy_for(failure, "Correct the line shown.")
        message = f"{subject.name} raises {raised_text(failure)} during {phase}."
        if failure.type == "SystemExit":
            rule, remedy = (
                run005_early_exit.RULE,
                "Raise an exception that callers can handle instead of ending the program.",
            )
            message = f"{subject.name} ends the program during {phase}: it calls sys.exit({failure.message})."
        elif failure.type == "TypeError" and phase.startswith("building") and not failure.frames:
            remedy = f"Give the factory the keyword parameters amp and seed. {_CONTRACT}"
        key = (failure.type, failure.message, location)
        cause = training_cause(rule, subject, key, message, remedy, traceback_evidence(failure))
        return [replace(cause, location=location, origin=origin_of(failure))]
    if rejected is not None:
        message = f"{subject.name} does not keep the contract of a workload: {rejected.message}."
        return [training_cause(run011_workload_broken.RULE, subject, (rejected.message,), message, _CONTRACT)]
    return []


def _losses(losses: Sequence[float], workload: WorkloadUnit, subject: Subject) -> list[Cause]:
    key = (workload.factory,)  # in FP32 and under AMP it is the same workload that does not learn
    bad = next((number for number, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    if bad is not None:
        before = f"the loss before was {losses[bad - 2]:.4g}" if bad > 1 else "it is the first step"
        message = f"{subject.name}: the loss of step {bad} of {workload.steps} is {losses[bad - 1]}; {before}."
        evidence = _curve("loss of every step up to the first that is not finite", losses)
        return [training_cause(run008_nonfinite_loss.RULE, subject, key, message, NONFINITE, evidence)]
    if len(losses) < workload.steps:
        message = f"{subject.name}: only {len(losses)} of {workload.steps} steps were reported."
        return [training_cause(run011_workload_broken.RULE, subject, key, message, _CONTRACT)]
    seen = decrease(losses)
    if seen.enough:
        return []
    message = (
        f"{subject.name}: the loss does not fall by 5 %: mean of the first {seen.samples} steps {seen.first:.4g}, "
        f"of the last {seen.samples} {seen.last:.4g}."
    )
    evidence = _curve(f"loss of {len(losses)} steps", losses)
    return [training_cause(run009_loss_not_decreasing.RULE, subject, key, message, _FLAT, evidence)]


def _curve(summary: str, losses: Sequence[float]) -> Evidence:
    return Evidence(kind="measurement", summary=summary, data={"losses": [json_number(loss) for loss in losses]})


def json_number(value: float) -> Json:
    """Return a finite number, or its name as text: JSON knows no NaN."""
    return value if math.isfinite(value) else str(value)
