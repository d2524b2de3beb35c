"""Decides what the page of stage 3 shows of imports, tests and training runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.about import listing
from reports.escape import code, fence, prose
from reports.facts import Row, as_number, numbers, rows, section, text, whole
from reports.figures import duration, figure, listed, plural, seconds
from reports.sanitizer_view import SanitizerView, sanitizer_view
from reports.table import Cell, Table, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from verifier.api import Json

_OK = ("ok", "pass", "passed", "imported")
_FAILURE_LIMIT = 10
_AGREEMENT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class IntegrationView:
    """The detail sections of stage 3; an empty one is left out."""

    workloads: Table
    agreements: tuple[str, ...]
    observed: Table
    step_times: Table
    plots: tuple[tuple[str, str], ...]
    plots_note: str
    sanitizer: SanitizerView
    tests: str
    failures: tuple[tuple[str, Markup], ...]
    more_failures: int
    skips: Table
    slowest: Table
    coverage: Table
    warnings: Table
    imports: str
    broken_imports: Table
    isolation: str


def integration_view(
    facts: Row, plots: Mapping[str, str] | None, timelines: Mapping[str, str] | None = None
) -> IntegrationView:
    """Build the view.

    Args:
        plots: a workload -> the file name of its plot; None: there is nothing to plot with.
        timelines: a run under the sanitizer -> the file name of its picture.
    """
    tests = section(facts, "tests")
    failures = rows(tests, "failures")
    workloads = rows(facts, "workloads")
    return IntegrationView(
        workloads=_workloads(workloads),
        agreements=tuple(_agreement(row) for row in workloads[:_AGREEMENT_LIMIT]),
        observed=_observed(workloads),
        step_times=_step_times(rows(facts, "step_times")),
        plots=tuple((plots or {}).items()),
        plots_note=_plots_note(plots) if workloads else "",
        sanitizer=sanitizer_view(facts, timelines or {}),
        tests=_tests(tests),
        failures=tuple((text(row, "id"), fence(text(row, "message"), tail=True)) for row in failures[:_FAILURE_LIMIT]),
        more_failures=max(0, len(failures) - _FAILURE_LIMIT),
        skips=_skips(tests),
        slowest=_slowest(tests),
        coverage=_coverage(section(tests, "coverage")),
        warnings=_warnings(tests),
        imports=_imports(rows(facts, "imports")),
        broken_imports=_broken_imports(rows(facts, "imports")),
        isolation=listing(section(facts, "isolation")),
    )


def _workloads(workloads: list[Row]) -> Table:
    return table(
        "Workload|Run|Precision|Device|Steps|First loss|Last loss|Seconds|Metrics",
        (line for row in workloads for line in _workload(row)),
        right="Steps|First loss|Last loss|Seconds",
    )


def _workload(row: Row) -> list[tuple[Cell, ...]]:
    lines: list[tuple[Cell, ...]] = []
    for run in ("fp32", "amp"):
        part = section(row, run)
        if not part:
            continue
        losses = numbers(part, "losses")
        lines.append(
            (
                code(text(row, "name"), cell=True),
                run.upper(),
                prose(text(part, "precision", "not stated"), cell=True),
                text(row, "device"),
                len(losses),
                figure(losses[0]) if losses else "none",
                figure(losses[-1]) if losses else "none",
                duration(part.get("duration_s")),
                listed(f"{name} {figure(value)}" for name, value in section(part, "metrics").items()),
            )
        )
    return lines


def _agreement(row: Row) -> str:
    agreement = section(row, "agreement")
    name = f"`{text(row, 'name')}`"
    if agreement.get("value") is None:
        return f"{name}: the two runs were not compared."
    samples = f", {plural(whole(agreement, 'samples'), 'sample')} each" if whole(agreement, "samples") else ""
    measured = f"{text(agreement, 'measure', 'difference')} {figure(agreement['value'])}"
    return f"{name}, FP32 against AMP: {measured}, tolerance {figure(agreement.get('tolerance'))}{samples}."


def _observed(workloads: list[Row]) -> Table:
    runs = [(row, run, section(section(row, run), "observed")) for row in workloads for run in ("fp32", "amp")]
    return table(
        "Workload|Run|Steps|Under autocast|Losses scaled|Loss scale|Scales logged",
        (
            (
                code(text(row, "name"), cell=True),
                run.upper(),
                whole(seen, "steps"),
                listed(f"{dtype} {count}" for dtype, count in section(seen, "under_autocast").items()) or "none",
                whole(seen, "scaled"),
                _scales(seen),
                len(numbers(seen, "logged")) if seen.get("logged") is not None else "no log",
            )
            for row, run, seen in runs
            if seen
        ),
        right="Steps|Losses scaled",
    )


def _scales(seen: Row) -> str:
    scales = sorted(set(numbers(seen, "scales")))
    if not scales:
        return "none"
    return figure(scales[0]) if len(scales) == 1 else f"{figure(scales[0])} to {figure(scales[-1])}"


def _step_times(timed: list[Row]) -> Table:
    return table(
        "Workload|Precision|Device|FP32 time / AMP time|Interval|Pairs",
        (
            (
                code(text(row, "name"), cell=True),
                prose(text(row, "precision", "not stated"), cell=True),
                text(row, "device"),
                figure(row.get("ratio")),
                f"{figure(row.get('low'))} to {figure(row.get('high'))} ({_percent(row.get('confidence'))})",
                whole(row, "samples"),
            )
            for row in timed
        ),
        right="FP32 time / AMP time|Pairs",
    )


def _percent(share: Json) -> str:
    number = as_number(share)
    return "no confidence stated" if number is None else f"{100 * number:.0f} %"


def _plots_note(plots: Mapping[str, str] | None) -> str:
    if plots is None:
        return "The loss curves were not drawn: matplotlib is missing (extra `plots` of verify-amp)."
    return "" if plots else "The loss curves were not drawn: no workload recorded any losses."


def _tests(tests: Row) -> str:
    if not tests:
        return ""
    parts = [f"{whole(tests, 'passed'):,} passed"]
    parts += [f"{whole(tests, key):,} {key}" for key in ("failed", "errors", "skipped") if whole(tests, key)]
    took = f" in {seconds(tests.get('duration_s'))}" if "duration_s" in tests else ""
    said = f"{plural(whole(tests, 'collected'), 'test')} collected: {', '.join(parts)}{took}."
    flaky = tests.get("flaky")
    if isinstance(flaky, list) and flaky:
        said += f" Flaky, for they failed and then passed: {len(flaky):,}."
    coverage = section(tests, "coverage")
    if whole(coverage, "lines"):
        reached = whole(coverage, "lines") - whole(coverage, "missed")
        said += f" They reach {reached:,} of {whole(coverage, 'lines'):,} lines of the task."
    return said


def _skips(tests: Row) -> Table:
    return table(
        "Skipped test|Reason",
        ((code(text(row, "id"), cell=True), text(row, "reason")) for row in rows(tests, "skips")),
    )


def _slowest(tests: Row) -> Table:
    return table(
        "Slowest tests|Seconds",
        ((code(text(row, "id"), cell=True), duration(row.get("duration_s"))) for row in rows(tests, "slowest")),
        right="Seconds",
        limit=10,
    )


def _coverage(coverage: Row) -> Table:
    """Show the files of which the tests reach least first."""
    files = sorted(rows(coverage, "files"), key=lambda row: (-whole(row, "missed"), text(row, "path")))
    return table(
        "File|Lines with code|Not reached|Which",
        (
            (code(text(row, "path"), cell=True), whole(row, "lines"), whole(row, "missed"), text(row, "missing"))
            for row in files
            if whole(row, "lines")
        ),
        right="Lines with code|Not reached",
        limit=30,
    )


def _warnings(tests: Row) -> Table:
    return table(
        "Warning|Message|Place|Times",
        (
            (
                code(text(row, "category"), cell=True),
                text(row, "message"),
                code(f"{text(row, 'path')}:{whole(row, 'line')}", cell=True),
                whole(row, "count"),
            )
            for row in rows(tests, "warnings")
        ),
        right="Times",
        limit=20,
    )


def _imports(modules: list[Row]) -> str:
    if not modules:
        return ""
    failed = [row for row in modules if not _imported(row)]
    slow = max(modules, key=lambda row: as_number(row.get("duration_s")) or 0.0)
    done = f"{len(modules) - len(failed):,} of {plural(len(modules), 'module')} imported"
    return f"{done}; the slowest, `{text(slow, 'module')}`, took {seconds(slow.get('duration_s'))}."


def _imported(row: Row) -> bool:
    return not text(row, "error") and text(row, "status", "ok").lower() in _OK


def _broken_imports(modules: list[Row]) -> Table:
    return table(
        "Module|Status|Error",
        (
            (code(text(row, "module"), cell=True), text(row, "status"), text(row, "error"))
            for row in modules
            if not _imported(row)
        ),
    )
