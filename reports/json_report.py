"""Decides how a report is written as JSON: the document every other tool reads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from verifier.api import SCHEMA

if TYPE_CHECKING:
    from verifier.api import Evidence, FileRecord, Finding, Reported, RunReport, StageResult, Suppressed

_UNUSUAL = re.compile(r"[^\n -~]")
_COMMAND = re.compile(r"##(?=(?:vso|teamcity)?\[)")


def render(report: RunReport) -> str:
    return written(document(report))


def written(value: Mapping[str, Any]) -> str:
    """Return a document as text that any JSON reader accepts, in which nothing hides from who looks at it."""
    return harmless(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def line(value: Mapping[str, Any]) -> str:
    """Return a document as `written` does, on one line and without its end."""
    return harmless(json.dumps(plain(value), ensure_ascii=False, allow_nan=False))


def harmless(text: str) -> str:
    """Escape within JSON what nobody sees, and what a build system would take for a command in its log."""
    text = _COMMAND.sub(r"#\\u0023", text) if "##" in text else text
    return _UNUSUAL.sub(_seen, text)


def _seen(match: re.Match[str]) -> str:
    """Write a character that does not print (valid in JSON, yet able to hide or reorder text) as an escape."""
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]


def schema() -> Mapping[str, Any]:
    """Return the JSON Schema that ships with the package."""
    text = resources.files("reports").joinpath("report.schema.json").read_text("utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def document(report: RunReport) -> dict[str, Any]:
    """Return the report as the contract lays it out; values may still be non-finite or hold lone surrogates."""
    return {
        "schema": SCHEMA,
        "task": report.task,
        "title": report.title,
        "verdict": report.verdict.value,
        "score": report.score,
        "tool": {**report.tool, "block_at": report.block_at},
        "source": {
            "commit": report.source.commit,
            "dirty": report.source.dirty,
            "files": [_file(file) for file in sorted(report.source.files, key=lambda file: file.path)],
        },
        "environment": dict(report.environment),
        "stages": [_stage(stage) for stage in report.stages],
        "acceptance": [
            {
                "text": line.text,
                "status": line.status.value,
                "proven_by": list(line.proven_by),
                "evidence": line.evidence,
            }
            for line in report.acceptance
        ],
        "suppressed": [_suppressed(entry) for entry in sorted(report.suppressed, key=_by_place)],
        "not_run": [{"number": one.number, "name": one.name, "reason": one.reason} for one in report.not_run],
        "deferred": [{"stage": one.stage, "gate": one.gate, "reason": one.reason} for one in report.deferred],
    }


def plain(value: object) -> Any:
    """Return a value that any JSON reader accepts: non-finite numbers and lone surrogates as text."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value


def _file(file: FileRecord) -> dict[str, Any]:
    return {"path": file.path, "sha256": file.sha256, "lines": file.lines}


def _stage(stage: StageResult) -> dict[str, Any]:
    return {
        "number": stage.number,
        "name": stage.name,
        "title": stage.title,
        "status": stage.status.value,
        **({"reason": stage.reason} if stage.reason else {}),
        **({"internal": True} if stage.internal else {}),
        "score": stage.score,
        "checks_run": stage.checks_run,
        "duration_s": stage.duration_s,
        "gates": [
            {
                "name": gate.name,
                "requirement": gate.requirement,
                "status": gate.status.value,
                "evidence": gate.evidence,
            }
            for gate in stage.gates
        ],
        "findings": [finding_row(item) for item in stage.findings],
        "facts": dict(stage.facts),
    }


def finding_row(item: Reported) -> dict[str, Any]:
    """Return a finding as every document of ours writes it."""
    finding = item.finding
    return {
        "rule": finding.rule,
        "name": item.name,
        "severity": finding.severity.name,
        "blocking": item.blocking,
        **({"baselined": True} if item.baselined else {}),
        "message": finding.message,
        "path": finding.location.path,
        "line": finding.location.line,
        "column": finding.location.column,
        "end_line": finding.location.end_line,
        "symbol": finding.symbol,
        **({"why": finding.why} if finding.why else {}),
        **({"impact": finding.impact} if finding.impact else {}),
        "related": [
            {"path": one.location.path, "line": one.location.line, "message": one.message} for one in finding.related
        ],
        "evidence": [_evidence(one) for one in finding.evidence],
        "remediation": finding.remediation,
        "fix": finding.fix,
        "fingerprint": item.fingerprint,
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {"kind": evidence.kind, "summary": evidence.summary, "data": dict(evidence.data)}


def _suppressed(entry: Suppressed) -> dict[str, Any]:
    return {
        "stage": entry.stage,
        "reason": entry.reason,
        "line": entry.line,
        **({"until": entry.until} if entry.until else {}),
        "finding": finding_row(entry.finding),
    }


def _order(item: Reported) -> tuple[str, int, int, str, str]:
    finding: Finding = item.finding
    where = finding.location
    return where.path, where.line, where.column, finding.rule, finding.message


def _by_place(entry: Suppressed) -> tuple[str, int, int, str, str]:
    return _order(entry.finding)
