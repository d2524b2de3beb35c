"""Judge tests that were dealt out to several pytest processes as the one run that they are together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from amp_runtime.wire import Collected, CollectProblem, SuiteEnd, TestDone
from stages._probe.records import UnitReport
from stages.integration.causes import Subject
from stages.integration.endings import causes_of_ending
from stages.integration.judged import Judged
from stages.integration.suite_facts import added_up
from stages.integration.suite_results import UNIT, judge_tests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from amp_runtime.wire import Item
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport
    from verifier.api import Location

_FINE = (0, 1, 5)  # pytest's exit codes that are about tests: all passed, some failed, there were none


def judge_shares(
    declared: Sequence[str],
    reports: Sequence[ProbeReport],
    limits: Limits,
    root: Path,
    configuration: Location,
    flaky: frozenset[str] = frozenset(),
) -> list[Judged]:
    """Judge the shares together, and then how those ended that are not spoken of yet.

    Args:
        reports: one for each share, at least one.
        flaky: failed tests that passed when they were run again.
    """
    worst = next((report for report in reports if not _came_to_its_end(report)), reports[0])
    judged = [judge_tests(declared, _together(worst, reports), limits, root, configuration, flaky)]
    whole = Subject(name="tests", doing="running the declared tests", location=configuration)
    for report in reports:
        unit = report.units.get(UNIT)
        if report is not worst and unit is not None:
            causes = causes_of_ending(unit.result, whole, report, limits)
            judged.append(Judged(checks_run=0, causes=tuple(causes), gates=()))
    return judged


def _came_to_its_end(report: ProbeReport) -> bool:
    unit = report.units.get(UNIT)
    return unit is not None and unit.result.status == "ok" and report.ending == "complete"


def _together(worst: ProbeReport, reports: Sequence[ProbeReport]) -> ProbeReport:
    """Return one report that holds what all of them say; it ends as the worst of them does."""
    unit = worst.units.get(UNIT)
    if unit is None or len(reports) == 1:
        return worst
    units = [report.units[UNIT] for report in reports if UNIT in report.units]
    result = replace(unit.result, duration_s=max(item.result.duration_s for item in units))
    items: list[Item] = [item for one in units for item in one.items if isinstance(item, TestDone)]
    problems = {item.id: item for one in units for item in one.items if isinstance(item, CollectProblem)}
    items += problems.values()  # every share collects all of it, and meets the same
    counts = [item for one in units for item in one.items if isinstance(item, Collected)]
    if len(counts) == len(reports):  # otherwise one was stopped before it knew
        selected = sum(item.selected for item in counts)
        items.append(Collected(selected=selected, deselected=max(item.deselected for item in counts)))
    items += added_up(item for one in units for item in one.items)
    ends = [item for one in units for item in one.items if isinstance(item, SuiteEnd)]
    if len(ends) == len(reports):
        items.append(SuiteEnd(exit_code=_exit_code([end.exit_code for end in ends]), pytest=ends[0].pytest))
    return replace(worst, units={**worst.units, UNIT: UnitReport(result=result, items=tuple(items))})


def _exit_code(codes: Sequence[int]) -> int:
    """Return the code that says most: pytest's own trouble, a failure, success, and that there was no test last."""
    return next((code for code in codes if code not in _FINE), next((code for code in (1, 0) if code in codes), 5))
