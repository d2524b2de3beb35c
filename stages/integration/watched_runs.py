"""Judge what the sanitizer saw in all runs together: the gate, the findings, and what it says of those of others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.wire import Made, SanitizerReport
from stages.integration.alarms import Hazard, Watching, facts_of, finding_of, hazards
from stages.integration.comparing import compare
from stages.integration.gates import GATES, SANITIZER
from verifier.api import Gate, GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amp_runtime.wire import WorkloadUnit
    from stages._probe.records import ProbeReport
    from verifier.api import Finding, Json, Mark, RuleInfo


FAULTS = ", with planted faults"
EMULATED = ", on an emulated CUDA device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What all runs under the sanitizer yield."""

    findings: tuple[Finding, ...]
    marks: tuple[Mark, ...]
    gates: tuple[Gate, ...]
    facts: Mapping[str, Json]


def watched_workloads(
    units: Mapping[int, WorkloadUnit], report: ProbeReport, configuration: Location
) -> list[Watching]:
    """Return what the sanitizer saw of each workload that was run to the end of its process."""
    runs = []
    for number, unit in units.items():
        ran = report.units.get(str(number))
        if ran is None:
            continue
        made = next((item for item in ran.items if isinstance(item, Made)), None)
        start = Location(path=made.path, line=max(1, made.line)) if made and made.path else configuration
        reports = [item for item in ran.items if isinstance(item, SanitizerReport)]
        how = FAULTS if unit.faults else EMULATED if unit.emulate else ""
        name = f"{unit.factory} {'under AMP' if unit.amp else 'in FP32'}{how}"
        runs.append(Watching(name=name, start=start, amp=unit.amp, report=reports[-1] if reports else None))
    return runs


def judge_watched(
    runs: Sequence[Watching], found: Sequence[Finding], rules: Mapping[str, RuleInfo], heard: Sequence[str]
) -> Watched:
    """Judge the runs.

    Args:
        found: what the stages before have reported.
        rules: every rule, by code. heard: the codes the sanitizer looks for.
    """
    seen = hazards(runs)
    compared = compare(seen, found, runs, rules, heard)
    return Watched(
        findings=tuple(finding_of(hazard, rules[hazard.code]) for hazard in compared.new),
        marks=compared.marks,
        gates=(_gate(runs, seen),) if runs else (),
        facts=_facts(runs) if runs else {},
    )


def _facts(runs: Sequence[Watching]) -> Mapping[str, Json]:
    """Return what was seen of each run; the terminal shows a line of those that are neither in FP32 nor disturbed."""
    shown = [_line(run) for run in runs if run.amp and FAULTS not in run.name and run.report is not None]
    return {"sanitizer": [dict(facts_of(run)) for run in runs], "summary": shown}


def _line(run: Watching) -> str:
    assert run.report is not None
    steps = run.report.timeline
    losses = [step.loss for step in steps if step.loss is not None]
    scales = [step.scale for step in steps if step.scale is not None]
    parts = [_count(run.report.watched.steps, "training step")]
    if losses:
        parts.append(f"loss {losses[0]:.4g} -> {losses[-1]:.4g}")
    if scales:
        skipped = run.report.watched.skipped_steps
        parts.append(f"loss scale {scales[0]:g} -> {scales[-1]:g}, {_count(skipped, 'step')} skipped")
    alarms = len(run.report.alarms)
    if alarms or steps:
        parts.append(_count(alarms, "hazard") if alarms else "no hazard")
    return f"{run.name}: {', '.join(parts)}"


def _gate(runs: Sequence[Watching], seen: Sequence[Hazard]) -> Gate:
    """Return the gate; findings may still fail it in the core. A run that came without a report proves nothing."""
    silent = [run.name for run in runs if run.report is None]
    idle = [run.name for run in runs if run.report is not None and not run.report.watched.steps]
    replaced = [run.name for run in runs if run.report is not None and run.report.replaced]
    said = [_said(runs)]
    said += [f"{', '.join(silent)}: nothing was reported"] * bool(silent)
    said += [f"{', '.join(idle)}: no step of a torch optimizer was seen"] * bool(idle)
    said += [f"{', '.join(replaced)}: functions were replaced, and calls of them not seen"] * bool(replaced)
    named = [f"{one.location.path}:{one.location.line} {one.code}" for one in seen]
    status = GateStatus.PASS
    if replaced or silent:
        status = GateStatus.FAIL
    elif idle:
        status = GateStatus.DEFERRED
    return Gate(
        name=SANITIZER,
        requirement=GATES[SANITIZER],
        status=status,
        evidence="; ".join([*named[:5], *said]),
        sums_up=("AMP",),
    )


def _said(runs: Sequence[Watching]) -> str:
    """Sum up what there was to watch; the page of the stage has a row for each run."""
    seen = [run.report.watched for run in runs if run.report is not None]
    steps = sum(watched.steps for watched in seen)
    regions = Counter[str]()
    for watched in seen:
        regions.update(watched.autocast)
    codes = {code for watched in seen for code in watched.looked}
    parts = [
        f"{_count(steps, 'training step')} watched in {_count(len(seen), 'run')}",
        f"autocast regions: {', '.join(f'{count} {name}' for name, count in sorted(regions.items())) or 'none'}",
        f"{_count(sum(watched.scalers > 0 for watched in seen), 'run')} with a loss scaler",
        f"{_count(len(codes), 'rule')} had something to look at",
    ]
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
