"""What a run of pytest established besides its findings: counts, slow and skipped tests, warnings, coverage."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from amp_runtime.wire import Collected, Coverage, CoveredFile, WarningSeen
from stages.integration.causes import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from amp_runtime.wire import CollectProblem, Item, TestDone
    from stages._probe.records import UnitReport
    from verifier.api import Json

_SLOWEST = 10


def selected(unit: UnitReport) -> int:
    return next((item.selected for item in unit.items if isinstance(item, Collected)), 0)


def facts_of(
    unit: UnitReport, tests: Sequence[TestDone], problems: Sequence[CollectProblem], flaky: frozenset[str]
) -> Json:
    """Return what became of every test, as far as a reader wants to know; the rest is counted."""
    counts = Counter(test.outcome for test in tests)
    slowest = sorted(tests, key=lambda test: (-test.duration_s, test.id))[:_SLOWEST]
    skips: list[Json] = [
        {"id": test.id, "reason": ("expected to fail: " if test.outcome == "xfailed" else "") + first_line(test.reason)}
        for test in tests
        if test.outcome in ("skipped", "xfailed")
    ]
    skips += [{"id": problem.id, "reason": first_line(problem.message)} for problem in problems if problem.skipped]
    failures: list[Json] = [
        {"id": test.id, "message": first_line(test.reason)} for test in tests if test.outcome in ("failed", "error")
    ]
    failures += [{"id": item.id, "message": first_line(item.message)} for item in problems if not item.skipped]
    return {
        "collected": selected(unit),
        "passed": counts["passed"],
        "failed": counts["failed"],
        "skipped": counts["skipped"] + counts["xfailed"],
        "errors": counts["error"] + sum(not problem.skipped for problem in problems),
        "duration_s": round(unit.result.duration_s, 3),
        "slowest": [{"id": test.id, "duration_s": round(test.duration_s, 4)} for test in slowest],
        "failures": failures,
        "flaky": sorted(flaky),
        "warnings": _warnings(unit),
        "coverage": _coverage(unit),
        "skips": skips,
    }


def _warnings(unit: UnitReport) -> list[Json]:
    return [
        {
            "category": item.category,
            "message": first_line(item.message),
            "path": item.path,
            "line": item.line,
            "count": item.count,
        }
        for item in unit.items
        if isinstance(item, WarningSeen)
    ]


def _coverage(unit: UnitReport) -> Json:
    found = next((item for item in unit.items if isinstance(item, Coverage)), None)
    if found is None:
        return {}
    lines, missed = sum(file.lines for file in found.files), sum(len(file.missed) for file in found.files)
    return {
        "note": found.note,
        "lines": lines,
        "missed": missed,
        "share": round(1 - missed / lines, 4) if lines else None,
        "files": [
            {"path": file.path, "lines": file.lines, "missed": len(file.missed), "missing": _spans(file.missed)}
            for file in found.files
        ],
    }


def _spans(lines: Sequence[int]) -> str:
    """Write line numbers as people do: 3-5, 9."""
    spans: list[list[int]] = []
    for line in sorted(lines):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in spans)


def added_up(items: Iterable[Item]) -> list[Item]:
    """Return what several runs of parts of the tests say together: each warning once, a line reached if one did."""
    warnings: dict[tuple[str, str, str, int], WarningSeen] = {}
    files: dict[str, CoveredFile] = {}
    notes = []
    for item in items:
        if isinstance(item, WarningSeen):
            key = (item.category, item.message, item.path, item.line)
            warnings[key] = replace(item, count=item.count + (warnings[key].count if key in warnings else 0))
        elif isinstance(item, Coverage):
            notes += [item.note] if item.note else []
            for file in item.files:
                known = files.get(file.path, file)
                files[file.path] = replace(file, missed=tuple(line for line in file.missed if line in known.missed))
    covered = () if notes else tuple(files.values())
    return [*warnings.values(), Coverage(files=covered, note="; ".join(dict.fromkeys(notes)))]


def limitations_of(unit: UnitReport, tests: Sequence[TestDone], problems: Sequence[CollectProblem]) -> tuple[str, ...]:
    """Return what the tests did not check, in sentences."""
    said = []
    left_out = next((item.deselected for item in unit.items if isinstance(item, Collected)), 0)
    if left_out:
        said.append(f"{left_out} tests were left out by the project's own pytest options (-m, -k or --deselect)")
    if skipped := sum(test.outcome == "skipped" for test in tests):
        said.append(f"{skipped} of {len(tests)} tests were skipped; what they check was not checked here")
    said += [
        f"{path} checked nothing here: it skipped {what}: {first_line(reason)}"
        for path, what, reason in _files_of_skips(tests, problems)
    ]
    coverage = next((item for item in unit.items if isinstance(item, Coverage)), None)
    if coverage is not None and coverage.note:
        said.append(f"which lines the tests reach was not measured: {coverage.note}")
    return tuple(said)


def _files_of_skips(tests: Sequence[TestDone], problems: Sequence[CollectProblem]) -> Iterator[tuple[str, str, str]]:
    """Yield each test file of which nothing ran, and why."""
    for problem in problems:
        if problem.skipped:
            yield problem.id, "itself as a whole", problem.message
    files: dict[str, list[TestDone]] = {}
    for test in tests:
        files.setdefault(test.id.partition("::")[0], []).append(test)
    for path, inside in files.items():
        if all(test.outcome == "skipped" for test in inside):
            yield path, f"all of its {len(inside)} tests" if len(inside) > 1 else "its only test", inside[0].reason
