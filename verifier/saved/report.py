"""What a saved report says, as far as two of them are compared, or one is checked against its tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifier.model.finding import Severity
from verifier.model.report import SCHEMA, Proof, Verdict
from verifier.model.stage import GateStatus, StageStatus
from verifier.saved.shape import Reader, read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFinding:
    """A finding. `places`: in how many it was seen."""

    stage: str
    rule: str
    name: str
    severity: Severity
    blocking: bool
    baselined: bool
    message: str
    path: str
    line: int
    fingerprint: str
    places: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedGate:
    """A gate."""

    name: str
    status: GateStatus
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedStage:
    """A stage."""

    number: int
    name: str
    status: StageStatus
    score: int
    checks_run: int
    gates: tuple[SavedGate, ...]
    findings: tuple[SavedFinding, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedLine:
    """An acceptance line."""

    text: str
    status: Proof
    proven_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedReport:
    """A report. `files`: path -> SHA-256; `suppressed`: findings that a comment silenced."""

    path: Path
    task: str
    title: str
    verdict: Verdict
    score: int
    block_at: Severity
    tool: Mapping[str, Any]
    commit: str | None
    files: Mapping[str, str]
    environment: Mapping[str, Any]
    stages: tuple[SavedStage, ...]
    acceptance: tuple[SavedLine, ...]
    suppressed: tuple[SavedFinding, ...]
    deferred: frozenset[str]  # `stage:gate`
    not_run: tuple[str, ...] = ()  # stages
    dirty: bool | None = None

    @property
    def findings(self) -> tuple[SavedFinding, ...]:
        return tuple(finding for stage in self.stages for finding in stage.findings)

    @property
    def gates(self) -> Mapping[str, SavedGate]:
        return {f"{stage.name}:{gate.name}": gate for stage in self.stages for gate in stage.gates}


def read_report(path: Path) -> SavedReport:
    """Return the report that a `report.json` holds.

    Raises:
        UsageError: it is no report of this schema, whole and well-formed.
    """
    top = Reader(path, "", read_json(path))
    if top.value.get("schema") != SCHEMA:
        raise top.wrong(f'has not the schema "{SCHEMA}", the only one that this version reads')
    source, tool = top.under("source"), top.under("tool")
    return SavedReport(
        path=path,
        task=top.get("task", str),
        title=top.get("title", str),
        verdict=Verdict(top.one_of("verdict", [*Verdict])),
        score=top.get("score", int),
        block_at=Severity[tool.one_of("block_at", Severity.__members__)],
        tool=tool.value,
        commit=source.optional("commit", str),
        files={file.get("path", str): file.get("sha256", str) for file in source.each("files")},
        environment=top.under("environment").value,
        stages=tuple(_stage(stage) for stage in top.each("stages")),
        acceptance=tuple(_line(line) for line in top.each("acceptance")),
        suppressed=tuple(_finding(one.under("finding"), one.get("stage", str)) for one in top.each("suppressed")),
        deferred=frozenset(f"{one.get('stage', str)}:{one.get('gate', str)}" for one in top.each("deferred")),
        not_run=tuple(one.get("name", str) for one in top.each("not_run")),
        dirty=source.optional("dirty", bool),
    )


def _stage(stage: Reader) -> SavedStage:
    name = stage.get("name", str)
    return SavedStage(
        number=stage.get("number", int),
        name=name,
        status=StageStatus(stage.one_of("status", [*StageStatus])),
        score=stage.get("score", int),
        checks_run=stage.get("checks_run", int),
        gates=tuple(
            SavedGate(
                name=gate.get("name", str),
                status=GateStatus(gate.one_of("status", [*GateStatus])),
                evidence=gate.get("evidence", str),
            )
            for gate in stage.each("gates")
        ),
        findings=tuple(_finding(finding, name) for finding in stage.each("findings")),
        facts=stage.get("facts", dict),
    )


def _finding(finding: Reader, stage: str) -> SavedFinding:
    return SavedFinding(
        stage=stage,
        rule=finding.get("rule", str),
        name=finding.get("name", str),
        severity=Severity[finding.one_of("severity", Severity.__members__)],
        blocking=finding.get("blocking", bool),
        baselined=finding.value.get("baselined") is True,
        message=finding.get("message", str),
        path=finding.get("path", str),
        line=finding.get("line", int),
        fingerprint=finding.get("fingerprint", str),
        places=1 + len(finding.get("related", list)),
    )


def _line(line: Reader) -> SavedLine:
    return SavedLine(
        text=line.get("text", str),
        status=Proof(line.one_of("status", [*Proof])),
        proven_by=tuple(str(gate) for gate in line.get("proven_by", list)),
    )
