"""Turns measurements into the gate that says they are there, findings about them, and the facts of the stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.performance.gates import GATES, MEASURED
from stages.performance.rules import prf002_not_measured, prf005_disturbed_machine
from verifier.api import Evidence, Finding, Gate, GateStatus, Location, Related

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import Mode
    from stages.performance.measurement import Measurement, Problem
    from verifier.api import Json, Requirement

NOTHING = "the task declares no workloads and no scripts, so nothing was measured"
_CALM = "Nothing in the code; measure with less beside it, or on a machine of its own, where absolute times count."


def measured_gate(measurements: Sequence[Measurement]) -> Gate:
    """Return the gate that fails where something of the task was not measured."""
    status, evidence = GateStatus.DEFERRED, NOTHING
    if measurements:
        status = GateStatus.PASS if all(one.complete for one in measurements) else GateStatus.FAIL
        evidence = "; ".join(map(_said, measurements))
    return Gate(name=MEASURED, requirement=GATES[MEASURED], status=status, evidence=evidence)


def _said(one: Measurement) -> str:
    if one.problems:
        return one.problems[0].message
    modes: tuple[tuple[Mode, str], ...] = (("fp32", "in FP32"), ("amp", "under AMP"))
    times = [(seconds, name) for mode, name in modes if (seconds := one.step_s(mode)) is not None]
    steps = ", ".join(f"{1000 * seconds:.3g} ms {name}" for seconds, name in times)
    pairs = len(one.timed[0].first_s) if one.timed else 0
    where = f"{one.device.precision or 'format not stated'} on {one.device.name}" if one.device else "device not known"
    return f"{one.name}: a step takes {steps} ({pairs} pairs, {where})"


def problem_findings(measurements: Sequence[Measurement]) -> list[Finding]:
    """Return why something was not measured: one finding a cause."""
    rule = prf002_not_measured.RULE
    found: dict[tuple[Location, str], list[tuple[Measurement, Problem]]] = {}
    for one in measurements:
        for problem in one.problems:
            key = (problem.location, problem.message.removeprefix(one.name))
            found.setdefault(key, []).append((one, problem))
    return [
        Finding(
            rule=rule.code,
            severity=rule.severity,
            message=f"{group[0][1].message}.",
            location=group[0][1].location,
            symbol=group[0][0].name,
            related=tuple(
                Related(location=other.location, message=f"{other.name} fails for the same reason")
                for other, _ in group[1:]
            ),
            evidence=group[0][1].evidence,
            why=rule.why,
            remediation=group[0][1].remediation,
        )
        for group in found.values()
    ]


def noise_findings(measurements: Sequence[Measurement], configuration: Location) -> list[Finding]:
    """Return one note where the machine was not calm while it measured."""
    rule = prf005_disturbed_machine.RULE
    said: dict[str, Json] = {
        one.name: [*dict.fromkeys(warning for timed in one.timed for warning in timed.warnings)]
        for one in measurements
        if any(timed.warnings for timed in one.timed)
    }
    if not said:
        return []
    first, warnings = next(iter(said.items()))
    example = warnings[0] if isinstance(warnings, list) else ""
    message = f"While {len(said)} of {len(measurements)} were timed, the machine was not calm: {first}: {example}."
    evidence = Evidence(kind="measurement", summary="what disturbed the series, by workload", data=said)
    return [
        Finding(
            rule=rule.code,
            severity=rule.severity,
            message=message,
            location=configuration,
            symbol="machine",
            evidence=(evidence,),
            why=rule.why,
            remediation=_CALM,
        )
    ]


def facts_of(measurements: Sequence[Measurement], requirements: Sequence[Requirement]) -> dict[str, Json]:
    """Return what the stage established, as docs/performance.md lays it out."""
    devices = sorted({one.device.device for one in measurements if one.device})
    nothing: list[Json] = [] if measurements else [NOTHING]
    facts: dict[str, Json] = {
        "measurements": [one.fact() for one in measurements],
        "requirements": [
            {"name": one.name, "text": one.text(), "only": [*one.only], "line": one.line} for one in requirements
        ],
        "limitations": [*(f"{one.name}: {note}" for one in measurements for note in one.notes), *nothing],
    }
    return facts | ({"device": ", ".join(devices)} if devices else {})
