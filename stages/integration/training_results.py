"""Judge the training runs: finite, falling losses in FP32 and under AMP, and the two in agreement."""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amp_runtime.wire import Made, Observed, to_json
from stages.integration.agreement import MEASURE, Agreement, agreement, decrease
from stages.integration.amp_gates import amp_gates, device_gate
from stages.integration.causes import Cause, Subject
from stages.integration.endings import cause_of_probe
from stages.integration.gates import GATES
from stages.integration.judged import Judged
from stages.integration.rules import (
    run009_loss_not_decreasing,
    run010_amp_diverges_from_fp32,
    run016_amp_without_effect,
)
from stages.integration.training_runs import Run, json_number, read_run, training_cause
from verifier.api import Evidence, Gate, GateStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import WorkloadUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport
    from verifier.api import Json, Location

_DIVERGES = (
    "Compare with the order scale(loss).backward() -> unscale_(optimizer) -> clip -> step(optimizer) -> update(); "
    "check that no gradient is used while it still carries the loss scale, and that reductions and losses run in FP32."
)
_NO_EFFECT = (
    "Pass the switch on to where autocast is entered: torch.autocast(device, dtype=..., enabled=amp) around the "
    "forward pass and the loss."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The two runs of one workload, and how they compare where both finished."""

    fp32: Run
    amp: Run
    seen: Agreement | None
    causes: tuple[Cause, ...]

    @property
    def name(self) -> str:
        return self.fp32.workload.factory

    @property
    def agree(self) -> bool:
        return self.seen is not None and self.seen.holds and self.fp32.learned and self.amp.learned


def judge_training(
    workloads: Sequence[WorkloadUnit],
    report: ProbeReport,
    limits: Limits,
    configuration: Location,
    requested: frozenset[str] = frozenset(),
) -> Judged:
    """Judge all runs. They come in pairs of one factory: FP32 first, then AMP.

    Args:
        requested: names of the gates that exist because the task asks for them.
    """
    runs = [
        read_run(workload, report.units.get(str(number)), report, limits, configuration)
        for number, workload in enumerate(workloads)
    ]
    pairs = [_pair(fp32, amp) for fp32, amp in zip(runs[::2], runs[1::2], strict=True)]
    causes = [cause for pair in pairs for cause in pair.causes]
    if not causes and any(run.result is None for run in runs):
        subject = Subject(name="workloads", doing="training the workloads", location=configuration)
        causes += filter(None, [cause_of_probe(report, subject, limits)])
    asked, unmet = amp_gates([(pair.fp32, pair.amp) for pair in pairs], requested)
    if "cpu" in requested and not used_accelerator(report):
        on_cpu, not_there = device_gate("cpu", runs)
        asked, unmet = [*asked, *on_cpu], [*unmet, *not_there]
    gates = (
        _path_gate("fp32-path", [pair.fp32 for pair in pairs]),
        _amp_gate(pairs),
        _agreement_gate(pairs),
        *asked,
    )
    return Judged(
        checks_run=sum(run.result is not None for run in runs),
        causes=(*causes, *unmet),
        gates=gates,
        facts={"workloads": [_fact(pair) for pair in pairs], **_device(runs)},
        limitations=tuple(_limitations(pairs)),
    )


def used_accelerator(report: ProbeReport) -> bool:
    """Whether some workload chose another device than the CPU."""
    made = [item for unit in report.units.values() for item in unit.items if isinstance(item, Made)]
    return any(not item.device.startswith("cpu") for item in made)


def to_emulate(units: Sequence[WorkloadUnit], report: ProbeReport, broken: frozenset[str]) -> tuple[WorkloadUnit, ...]:
    """Return the AMP runs that were made where PyTorch sees no CUDA device, of workloads that train."""
    found = []
    for number, unit in enumerate(units):
        ran = report.units.get(str(number))
        seen = next((item for item in ran.items if isinstance(item, Observed)), None) if ran else None
        if unit.amp and unit.factory not in broken and seen is not None and not seen.cuda:
            found.append(unit)
    return tuple(found)


def judge_on_cpu(
    workloads: Sequence[WorkloadUnit], report: ProbeReport, limits: Limits, configuration: Location
) -> Judged:
    """Judge runs that were made again because an accelerator was used the first time."""
    runs = [
        read_run(workload, report.units.get(str(number)), report, limits, configuration)
        for number, workload in enumerate(workloads)
    ]
    gates, causes = device_gate("cpu", runs)
    broken = [cause for run in runs for cause in run.causes]
    return Judged(checks_run=len(runs), causes=(*broken, *causes), gates=tuple(gates))


def _pair(fp32: Run, amp: Run) -> _Pair:
    seen = agreement(fp32.losses, amp.losses) if fp32.finished and amp.finished else None
    causes = [*fp32.causes, *_only_under_amp(fp32, amp)]
    if seen is not None:
        causes += _differences(fp32, amp, seen)
    return _Pair(fp32=fp32, amp=amp, seen=seen, causes=tuple(causes))


def _only_under_amp(fp32: Run, amp: Run) -> list[Cause]:
    """Return what is wrong with the AMP run; where FP32 learns and AMP does not, say so and what that points to."""
    if not fp32.learned:
        return list(amp.causes)
    learned = decrease(fp32.losses)
    also = f" In FP32 it falls from {learned.first:.4g} to {learned.last:.4g}, from the same seed."
    return [
        replace(cause, message=cause.message + also, remediation=_DIVERGES)
        if cause.rule is run009_loss_not_decreasing.RULE
        else cause
        for cause in amp.causes
    ]


def _differences(fp32: Run, amp: Run, seen: Agreement) -> list[Cause]:
    if not fp32.learned or not amp.learned:  # a run that is broken by itself is reported as that
        return []
    name = amp.workload.factory
    if fp32.losses == amp.losses:
        message = f"{name} trains exactly the same with and without AMP: all {len(amp.losses)} losses are identical."
        cause = training_cause(run016_amp_without_effect.RULE, amp.subject, (name,), message, _NO_EFFECT)
        return [replace(cause, impact="AMP brings neither speed nor memory here, and its path is untested.")]
    if seen.holds:
        return []
    message = (
        f"{name} under AMP ends {seen.value:.4g} away from FP32 (mean loss of the last {seen.samples} steps); "
        f"{seen.tolerance:.4g} is the tolerance."
    )
    data: dict[str, Json] = {
        "measure": MEASURE,
        "value": seen.value,
        "tolerance": seen.tolerance,
        "samples": seen.samples,
        "fp32": list(fp32.losses),
        "amp": list(amp.losses),
    }
    evidence = Evidence(kind="measurement", summary="losses of both runs, and how they were compared", data=data)
    return [
        training_cause(run010_amp_diverges_from_fp32.RULE, amp.subject, (name,), message, _DIVERGES, evidence),
    ]


def _path_gate(name: str, runs: Sequence[Run]) -> Gate:
    status = GateStatus.PASS if all(run.learned for run in runs) else GateStatus.FAIL
    evidence = "; ".join(_path_evidence(run) for run in runs)
    return Gate(name=name, requirement=GATES[name], status=status, evidence=evidence)


def _path_evidence(run: Run) -> str:
    if not run.learned:
        return f"{run.workload.factory}: {run.causes[0].rule.name if run.causes else 'not run'}"
    seen = decrease(run.losses)
    how = f"{run.precision or 'precision not stated'}, {run.device}"
    return f"{run.workload.factory} ({how}): loss {seen.first:.4g} -> {seen.last:.4g} in {len(run.losses)} steps"


def _amp_gate(pairs: Sequence[_Pair]) -> Gate:
    gate = _path_gate("amp-path", [pair.amp for pair in pairs])
    idle = [pair.name for pair in pairs for cause in pair.causes if cause.rule is run016_amp_without_effect.RULE]
    if not idle or gate.status is GateStatus.FAIL:
        return gate
    return replace(gate, status=GateStatus.WARN, evidence=f"{gate.evidence}; AMP changed nothing in {', '.join(idle)}")


def _agreement_gate(pairs: Sequence[_Pair]) -> Gate:
    parts = []
    for pair in pairs:
        seen = pair.seen
        if seen is None or not (pair.fp32.learned and pair.amp.learned):
            figures = f" ({seen.value:.4g} apart, {seen.tolerance:.4g} allowed)" if seen else ""
            parts.append(f"{pair.name}: not proven, for one of the two runs is broken{figures}")
        else:
            sign = "<=" if seen.holds else ">"
            last = f"mean loss of the last {seen.samples} steps"
            parts.append(f"{pair.name}: {seen.value:.4g} {sign} {seen.tolerance:.4g} ({last})")
    name = "amp-agreement"
    status = GateStatus.PASS if all(pair.agree for pair in pairs) else GateStatus.FAIL
    return Gate(name=name, requirement=GATES[name], status=status, evidence="; ".join(parts))


def _fact(pair: _Pair) -> Json:
    seen = pair.seen
    return {
        "name": pair.name,
        "device": pair.fp32.device or pair.amp.device,
        "steps": pair.fp32.workload.steps,
        "fp32": _run_fact(pair.fp32),
        "amp": _run_fact(pair.amp),
        "agreement": {
            "measure": MEASURE,
            "value": seen.value if seen else None,
            "tolerance": seen.tolerance if seen else None,
            "samples": seen.samples if seen else 0,
        },
    }


def _run_fact(run: Run) -> Json:
    seen = None if run.observed is None else typing.cast("Json", to_json(run.observed))
    return {
        "observed": seen,
        "precision": run.precision,
        "losses": [json_number(loss) for loss in run.losses],
        "duration_s": round(run.result.duration_s, 3) if run.result else 0.0,
        "metrics": {name: json_number(value) for name, value in sorted(run.metrics.items())},
    }


def _device(runs: Sequence[Run]) -> dict[str, Json]:
    devices: list[str] = sorted({run.device for run in runs if run.device})
    return {"device": ", ".join(devices)} if devices else {}


def _limitations(pairs: Sequence[_Pair]) -> list[str]:
    said = ["loss curves cannot show every mistake: an optimizer such as Adam hides wrongly scaled gradients"]
    for pair in pairs:
        if pair.amp.precision == "fp32":
            said.append(f"{pair.name} trained in fp32 under AMP too: low precision was not exercised here")
        if pair.amp.precision is None and pair.amp.result is not None:
            said.append(f"{pair.name} does not say in which precision it trained (attribute `precision`)")
    return said
