"""Judge the runs in which faults are planted by how they end; what happens in the planted steps, the sanitizer says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amp_runtime.wire import Made
from stages.integration.causes import Subject, raised_text
from stages.integration.endings import causes_of_ending
from stages.integration.judged import Judged
from verifier.api import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amp_runtime.wire import WorkloadUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport
    from stages.integration.causes import Cause

FAULT_STEPS = 12  # an overflow in the 4th, a NaN in the batch of the 7th, and a few to recover


def judge_disturbed(
    units: Mapping[int, WorkloadUnit], report: ProbeReport, limits: Limits, configuration: Location
) -> Judged:
    """Judge the runs among `units` (by number) that were disturbed.

    A training that raises when a loss is not finite may mean to do so: that is said, and is no failure by itself.
    """
    causes: list[Cause] = []
    said = []
    ran = 0
    for number, unit in units.items():
        done = report.units.get(str(number)) if unit.faults else None
        if done is None:
            continue
        ran += 1
        made = next((item for item in done.items if isinstance(item, Made)), None)
        location = Location(path=made.path, line=max(1, made.line)) if made and made.path else configuration
        name = f"{unit.factory} with planted faults"
        subject = Subject(name=name, doing=f"training {name}", location=location)
        causes += causes_of_ending(done.result, subject, report, limits)
        if done.result.failure is not None:
            what = raised_text(done.result.failure)
            said.append(f"{name} raises {what} during {done.result.phase}; what would follow is not shown")
    return Judged(checks_run=ran, causes=tuple(causes), limitations=tuple(said))
