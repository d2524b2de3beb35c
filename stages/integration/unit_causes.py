"""Why a process that ran a workload for a comparison did not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.integration.causes import Cause, Subject, origin_of, place, raised_text, traceback_evidence
from stages.integration.endings import causes_of_ending
from stages.integration.rules import run011_workload_broken

if TYPE_CHECKING:
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport


def causes_of_unit(
    factory: str, subject: Subject, unit: UnitReport, report: ProbeReport, limits: Limits, remediation: str
) -> list[Cause]:
    """Return what ended the process early, or what its code raised."""
    causes = causes_of_ending(unit.result, subject, report, limits)
    failure = unit.result.failure
    if failure is None:
        return causes
    location = place(failure.frames, subject.location)
    cause = Cause(
        rule=run011_workload_broken.RULE,
        subject=subject,
        key=(failure.type, failure.message, location),
        message=f"{factory} raises {raised_text(failure)} during {unit.result.phase}.",
        location=location,
        remediation=remediation,
        evidence=(traceback_evidence(failure),),
        origin=origin_of(failure),
    )
    return [*causes, cause]
