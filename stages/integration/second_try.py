"""Decides which failed tests are run a second time, and which of them are flaky."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amp_runtime.wire import TestDone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._probe.records import ProbeReport

UNIT = "pytest"
MOST = 20  # failed tests that are run again; where more fail, chance is not the reason
LEAST_LEFT_S = 2.0  # of the stage's time, or there is no second try


def to_run_again(reports: Sequence[ProbeReport], left_s: float) -> tuple[str, ...]:
    """Return the tests that failed in runs that came to their end, if they are few and there is time."""
    units = [report.units.get(UNIT) for report in reports]
    whole = [unit for unit in units if unit is not None and unit.result.status == "ok"]
    items = [item for unit in whole for item in unit.items if isinstance(item, TestDone)]
    failed = tuple(item.id for item in items if item.outcome in ("failed", "error"))
    return failed if len(whole) == len(units) and len(failed) <= MOST and left_s >= LEAST_LEFT_S else ()


def passed_now(report: ProbeReport) -> frozenset[str]:
    unit = report.units.get(UNIT)
    items = () if unit is None else unit.items
    return frozenset(item.id for item in items if isinstance(item, TestDone) and item.outcome == "passed")
