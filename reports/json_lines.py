"""Decides how a report is written for streams: one finding a line as JSON, the verdict on the last one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from reports import json_report
from reports.findings import ranked
from verifier.api import SCHEMA, Severity

if TYPE_CHECKING:
    from verifier.api import RunReport


def render(report: RunReport) -> str:
    """Return findings worst first, then what a comment silenced, then the verdict."""
    rows: list[dict[str, Any]] = [
        {"type": "finding", "task": report.task, "stage": item.stage, **json_report.finding_row(item.reported)}
        for item in ranked(report.stages)
    ]
    rows += [
        {"type": "suppressed", "task": report.task, "stage": entry.stage, "reason": entry.reason}
        | {"comment_line": entry.line, **json_report.finding_row(entry.finding)}
        for entry in report.suppressed
    ]
    return "".join(f"{json_report.line(row)}\n" for row in [*rows, _verdict(report)])


def _verdict(report: RunReport) -> dict[str, Any]:
    found = [item for stage in report.stages for item in stage.findings]
    counts = Counter(item.finding.severity.name for item in found)
    return {
        "type": "verdict",
        "schema": SCHEMA,
        "task": report.task,
        "verdict": report.verdict.value,
        "score": report.score,
        "findings": len(found),
        "blocking": sum(item.blocking for item in found),
        "by_severity": {level.name: counts[level.name] for level in sorted(Severity, reverse=True)},
        "suppressed": len(report.suppressed),
        "stages": [
            {"number": stage.number, "name": stage.name, "status": stage.status.value, "score": stage.score}
            for stage in report.stages
        ],
        "gates": [
            {"stage": stage.name, "name": gate.name, "status": gate.status.value}
            for stage in report.stages
            for gate in stage.gates
        ],
        "deferred": [{"stage": one.stage, "gate": one.gate, "reason": one.reason} for one in report.deferred],
        "not_run": [one.name for one in report.not_run],
    }
