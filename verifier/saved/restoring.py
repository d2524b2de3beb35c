"""Decides how a `report.json` becomes a report again that every format can render.

What the JSON does not hold stays empty: lines of source around findings, and fixes as diffs. They are not read from the
tree again, as only the run itself knew which texts in it are secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.model.finding import Evidence, Finding, Location, Related, Severity
from verifier.model.report import (
    SCHEMA,
    Acceptance,
    Deferred,
    FileRecord,
    NotRun,
    Proof,
    RunReport,
    Source,
    Suppressed,
    Verdict,
)
from verifier.model.stage import Gate, GateStatus, Reported, StageResult, StageStatus
from verifier.saved.shape import Reader, read_json

if TYPE_CHECKING:
    from verifier.model.rule import RuleInfo

_KINDS = ("source", "measurement", "command", "traceback", "simulation", "run")


def restored(path: Path, rules: Mapping[str, RuleInfo]) -> RunReport:
    """Return the report that a file holds.

    Args:
        rules: by code; the report takes those that its findings carry.

    Raises:
        UsageError: it is no report of this schema, whole and well-formed.
    """
    return restored_from(path, read_json(path), rules)


def restored_from(path: Path, document: Mapping[str, Any], rules: Mapping[str, RuleInfo]) -> RunReport:
    """Return the report that a document holds; `path` is where it stands, for what is said of it."""
    top = Reader(path, "", document)
    if top.value.get("schema") != SCHEMA:
        raise top.wrong(f'has not the schema "{SCHEMA}", the only one that this version reads')
    tool = dict(top.under("tool").value)
    block_at = top.under("tool").one_of("block_at", Severity.__members__)
    tool.pop("block_at")
    stages = tuple(_stage(stage) for stage in top.each("stages"))
    suppressed = tuple(_suppressed(one) for one in top.each("suppressed"))
    carried = {item.finding.rule for stage in stages for item in stage.findings}
    carried |= {entry.finding.finding.rule for entry in suppressed}
    return RunReport(
        task=top.get("task", str),
        title=top.get("title", str),
        verdict=Verdict(top.one_of("verdict", [*Verdict])),
        score=top.get("score", int),
        block_at=block_at,
        tool=tool,
        source=_source(top.under("source")),
        environment=top.get("environment", dict),
        stages=stages,
        acceptance=tuple(_acceptance(line) for line in top.each("acceptance")),
        suppressed=suppressed,
        not_run=tuple(
            NotRun(number=one.get("number", int), name=one.get("name", str), reason=one.get("reason", str))
            for one in top.each("not_run")
        ),
        deferred=tuple(
            Deferred(stage=one.get("stage", str), gate=one.get("gate", str), reason=one.get("reason", str))
            for one in top.each("deferred")
        ),
        rules={code: rules[code] for code in sorted(carried) if code in rules},
    )


def _source(source: Reader) -> Source:
    files = tuple(
        FileRecord(path=file.get("path", str), sha256=file.get("sha256", str), lines=file.get("lines", int))
        for file in source.each("files")
    )
    return Source(commit=source.optional("commit", str), dirty=source.optional("dirty", bool), files=files)


def _stage(stage: Reader) -> StageResult:
    return StageResult(
        number=stage.get("number", int),
        name=stage.get("name", str),
        title=stage.get("title", str),
        status=StageStatus(stage.one_of("status", [*StageStatus])),
        score=stage.get("score", int),
        checks_run=stage.get("checks_run", int),
        duration_s=_number(stage, "duration_s"),
        gates=tuple(_gate(gate) for gate in stage.each("gates")),
        findings=tuple(_reported(finding) for finding in stage.each("findings")),
        facts=stage.get("facts", dict),
        reason=stage.optional("reason", str) or "",
        internal=stage.optional("internal", bool) or False,
    )


def _gate(gate: Reader) -> Gate:
    return Gate(
        name=gate.get("name", str),
        requirement=gate.get("requirement", str),
        status=GateStatus(gate.one_of("status", [*GateStatus])),
        evidence=gate.get("evidence", str),
    )


def _reported(finding: Reader) -> Reported:
    return Reported(
        finding=_finding(finding),
        name=finding.get("name", str),
        blocking=finding.get("blocking", bool),
        fingerprint=finding.get("fingerprint", str),
        baselined=finding.optional("baselined", bool) or False,
    )


def _finding(finding: Reader) -> Finding:
    fix = finding.optional("fix", str)
    if fix not in ("safe", "unsafe", None):
        raise finding.wrong(f'has "{fix[:40]}" for "fix", which is not one of safe, unsafe, null')
    return Finding(
        rule=finding.get("rule", str),
        severity=Severity[finding.one_of("severity", Severity.__members__)],
        message=finding.get("message", str),
        location=Location(
            path=finding.get("path", str),
            line=finding.get("line", int),
            column=finding.get("column", int),
            end_line=finding.optional("end_line", int),
        ),
        symbol=finding.optional("symbol", str),
        related=tuple(_related(one) for one in finding.each("related")),
        evidence=tuple(_evidence(one) for one in finding.each("evidence")),
        why=finding.optional("why", str) or "",
        impact=finding.optional("impact", str) or "",
        remediation=finding.get("remediation", str),
        fix="safe" if fix == "safe" else "unsafe" if fix == "unsafe" else None,
    )


def _related(one: Reader) -> Related:
    location = Location(path=one.get("path", str), line=one.get("line", int))
    return Related(location=location, message=one.get("message", str))


def _evidence(one: Reader) -> Evidence:
    kind: Any = one.one_of("kind", _KINDS)
    return Evidence(kind=kind, summary=one.get("summary", str), data=one.get("data", dict))


def _suppressed(one: Reader) -> Suppressed:
    return Suppressed(
        stage=one.get("stage", str),
        finding=_reported(one.under("finding")),
        reason=one.get("reason", str),
        line=one.get("line", int),
        until=one.optional("until", str),
    )


def _acceptance(line: Reader) -> Acceptance:
    return Acceptance(
        text=line.get("text", str),
        status=Proof(line.one_of("status", [*Proof])),
        proven_by=tuple(str(gate) for gate in line.get("proven_by", list)),
        evidence=line.get("evidence", str),
    )


def _number(reader: Reader, key: str) -> float:
    value = reader.value.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise reader.wrong(f'has no "{key}" that is a number')
    return value
