"""Judge what the sanitizer saw in all runs together: the gate, the findings, and what it says of those of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.integration.alarms import Hazard, Watching, facts_of, finding_of, hazards
from stages.integration.comparing import compare
from stages.integration.gates import GATES, SANITIZER
from verifier.api import Gate, GateStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifier.api import Finding, Json, Mark, RuleInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What all runs under the sanitizer yield."""

    findings: tuple[Finding, ...]
    marks: tuple[Mark, ...]
    gates: tuple[Gate, ...]
    facts: Mapping[str, Json]


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
        facts={"sanitizer": [dict(facts_of(run)) for run in runs]} if runs else {},
    )


def _gate(runs: Sequence[Watching], seen: Sequence[Hazard]) -> Gate:
    """Return the gate; findings may still fail it in the core. A run that came without a report proves nothing."""
    silent = [run.name for run in runs if run.report is None]
    idle = [run.name for run in runs if run.report is not None and not run.report.watched.steps]
    replaced = [run.name for run in runs if run.report is not None and run.report.replaced]
    said = [_said(run) for run in runs if run.report is not None and run.report.watched.steps]
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


def _said(run: Watching) -> str:
    assert run.report is not None
    watched = run.report.watched
    regions = ", ".join(f"{count} {name}" for name, count in watched.autocast.items())
    parts = [f"{watched.steps} steps", f"autocast regions: {regions or 'none'}"]
    if watched.scalers:
        parts.append(f"{watched.scalers} scaler, {watched.skipped_steps} steps skipped")
    return f"{run.name}: {', '.join(parts)}"
