"""Decides what a report says on a terminal or in a log: one line a finding, the verdict last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.facts import section, whole
from reports.figures import plural
from reports.findings import Judged, counted, ranked
from reports.troubles import unexplained
from verifier.api import inert, one_line

if TYPE_CHECKING:
    from verifier.api import RunReport

_PATH_LIMIT = 400


def render(report: RunReport) -> str:
    judged = sorted(ranked(report.stages), key=_by_place)
    lines = [_line(item) for item in judged]
    lines += [f"{_name(report)}: {what}: {why}" for what, why in unexplained(report.stages)]
    return inert("\n".join([*lines, last_line(report, judged)])) + "\n"


def _by_place(item: Judged) -> tuple[str, int, int, str, str]:
    finding = item.reported.finding
    return (finding.location.path, finding.location.line, finding.location.column, finding.rule, finding.message)


def _line(item: Judged) -> str:
    finding = item.reported.finding
    where = finding.location
    path = one_line(where.path, _PATH_LIMIT)
    known = " (in the baseline)" if item.reported.baselined else ""
    told = f"{finding.rule} [{finding.severity.name}] {one_line(finding.message)}{known}"
    return f"{path}:{where.line}:{where.column}: {told}"


def last_line(report: RunReport, judged: list[Judged]) -> str:
    """Return verdict, score and counts in one line."""
    blocking = sum(item.reported.blocking for item in judged)
    found = f"{plural(len(judged), 'finding')}"
    if judged:
        known = sum(item.reported.baselined for item in judged)
        found += f" ({counted(judged)}; {blocking} blocking{f', {known} in the baseline' if known else ''})"
    deferred = f", {plural(len(report.deferred), 'gate')} deferred" if report.deferred else ""
    silenced = f", {len(report.suppressed)} suppressed" if report.suppressed else ""
    out = plural(whole(section(report.tool, "selection"), "rules"), "rule")
    left_out = f", {out} left out by --select or --ignore" if "selection" in report.tool else ""
    return f"{_name(report)}: {report.verdict.value} {report.score}/100, {found}{silenced}{deferred}{left_out}"


def _name(report: RunReport) -> str:
    return one_line(report.task, 80)
