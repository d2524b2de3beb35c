"""Decides what a coding agent is told: what to fix, file by file, in few words, and where more stands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from reports.concise import last_line as verdict_line
from reports.findings import Judged, ranked
from reports.places import last_line
from reports.rows import command
from reports.troubles import unexplained
from verifier.api import cut, inert, one_line, visible

if TYPE_CHECKING:
    from verifier.api import Location, RunReport

LIMIT = 7_000  # characters: at 3.5 of them a token, 2,000 tokens
_ADVICE_LINES = 8
_TAIL = 400


def render(report: RunReport) -> str:
    """Return verdict, what blocks without a finding, findings by file; the file with the worst finding first."""
    judged = _by_file(ranked(report.stages))
    parts = [f"{what}: {why}" for what, why in unexplained(report.stages)]
    parts += [f"deferred {one_line(f'{one.stage}:{one.gate}', 120)}: {_short(one.reason)}" for one in report.deferred]
    head = "\n".join([verdict_line(report, judged), *_within(parts, LIMIT // 3)])
    body, shown = _findings(judged, LIMIT - len(head) - _TAIL)
    tail = [*_cut(judged[shown:]), f"again: {_short(command(report.tool))}"]
    return inert("\n".join([head, *body, *tail])) + "\n"


def _by_file(judged: list[Judged]) -> list[Judged]:
    first: dict[str, int] = {}
    for rank, item in enumerate(judged):
        first.setdefault(item.reported.finding.location.path, rank)
    return sorted(judged, key=lambda item: first[item.reported.finding.location.path])


def _findings(judged: list[Judged], limit: int) -> tuple[list[str], int]:
    """Return the lines of as many findings as fit, and how many these are."""
    lines: list[str] = []
    told: dict[str, Location] = {}
    size, path = 0, None
    for shown, item in enumerate(judged):
        where = item.reported.finding.location
        block = [*([] if where.path == path else [f"\n{one_line(where.path, 400)}"]), *_finding(item, told)]
        size += sum(len(line) + 1 for line in block)
        if size > limit:
            return lines, shown
        lines += block
        path = where.path
    return lines, len(judged)


def _finding(item: Judged, told: dict[str, Location]) -> list[str]:
    finding = item.reported.finding
    where = finding.location
    lines = f"{where.line}-{last_line(where)}" if last_line(where) > where.line else f"{where.line}:{where.column}"
    blocks = " blocks" if item.reported.blocking else ""
    written = [f"{lines} {finding.rule} {finding.severity.name}{blocks}: {one_line(finding.message, 300)}"]
    written += [
        f"  see {one_line(one.location.path, 200)}:{one.location.line} {one_line(one.message, 120)}"
        for one in finding.related[:3]
    ]
    written += _advice(finding.remediation, where, told)
    if finding.fix:
        path = one_line(shlex.quote(where.path), 400)
        written.append(f"  automatic: verify fix{' --unsafe' if finding.fix == 'unsafe' else ''} {path}")
    return written


def _advice(remediation: str, where: Location, told: dict[str, Location]) -> list[str]:
    """Return how to fix it; what was said of an earlier finding is not said again."""
    if not remediation.strip():
        return []
    if before := told.get(remediation):
        path = "line " if before.path == where.path else f"{one_line(before.path, 400)}:"
        return [f"  fix: as for {path}{before.line}"]
    told[remediation] = where
    rows = [row.expandtabs(4).rstrip() for row in cut(remediation, 2_000).split("\n") if row.strip()]
    lines = [visible(cut(row, 200)) for row in rows]
    more = [f"    ({len(lines) - _ADVICE_LINES} more lines)"] * (len(lines) > _ADVICE_LINES)
    return [f"  fix: {lines[0].strip()}", *(f"    {row}" for row in lines[1:_ADVICE_LINES]), *more]


def _cut(rest: list[Judged]) -> list[str]:
    if not rest:
        return []
    files = len({item.reported.finding.location.path for item in rest})
    blocking = sum(item.reported.blocking for item in rest)
    return [
        f"\ncut: {len(rest):,} more findings in {files:,} files, {blocking:,} of them blocking; --format json has all"
    ]


def _within(lines: list[str], limit: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(line) > limit:
            return [*kept, f"({len(lines) - len(kept):,} more like these)"]
        kept.append(line)
    return kept


def _short(text: str) -> str:
    return one_line(text, 200)
