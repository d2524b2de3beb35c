"""Decides which configuration files a run looks at and what it says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages.syntax.configuration import pyproject
from stages.syntax.configuration.formats import SUFFIXES, Outcome, read_format
from verifier.api import Evidence, Finding, GateStatus, Location, Severity, SourceFile, is_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verifier.api import Json, SourceTree

_LIMIT_MIB = {".yaml": 4, ".yml": 4}  # events of YAML are read one by one
_OTHER_LIMIT_MIB = 32
_METADATA = "pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What came of the configuration files; `status` is the gate's own word."""

    rows: tuple[Mapping[str, Json], ...]
    findings: tuple[Finding, ...]
    status: GateStatus
    evidence: str


def check_configuration(root: Path, files: SourceTree) -> Configured:
    """Parse the configuration files among `files`, and the root's pyproject.toml whether it is among them or not."""
    chosen = [file for file in files if file.path.lower().endswith(SUFFIXES)]
    if files.get(_METADATA) is None and is_file(root / _METADATA):
        chosen = [SourceFile(_METADATA, root / _METADATA, noted=True), *chosen]
    rows: list[Mapping[str, Json]] = []
    findings: list[Finding] = []
    for file in chosen:
        row, found = _one(file)
        rows.append(row)
        findings += [found] if found is not None else []
    unread = [row["path"] for row in rows if row["status"] == "not read"]
    good = sum(row["status"] == "ok" for row in rows)
    said = [f"{good} of {len(rows)} configuration file{'' if len(rows) == 1 else 's'} parse{'s' * (len(rows) == 1)}"]
    said += [f"too large to be read: {', '.join(map(str, unread[:3]))}"] if unread else []
    lacking = any(row["status"] == "ok" and row["error"] == pyproject.REMEDY for row in rows)
    said += [f"metadata was not judged; {pyproject.REMEDY}"] if lacking else []
    status = GateStatus.DEFERRED if unread or lacking else GateStatus.PASS
    return Configured(rows=tuple(rows), findings=tuple(findings), status=status, evidence="; ".join(said))


def _one(file: SourceFile) -> tuple[Mapping[str, Json], Finding | None]:
    if file.data is None:
        problem = Outcome(format="", error=file.problem or "nobody said why")
        return _row(file.path, problem, "FAIL"), _syntax_finding(file.path, problem)
    limit_mib = _LIMIT_MIB.get(PurePosixPath(file.path).suffix.lower(), _OTHER_LIMIT_MIB)
    if len(file.data) > limit_mib << 20:
        return _row(file.path, Outcome(format="", error=f"larger than {limit_mib} MiB"), "not read"), None
    outcome = read_format(file.path, file.data)
    if outcome.template:
        return _row(file.path, outcome, "template"), None
    if outcome.error:
        return _row(file.path, outcome, "FAIL"), _syntax_finding(file.path, outcome)
    if PurePosixPath(file.path).name != _METADATA or outcome.document is None:
        return _row(file.path, outcome, "ok"), None
    return _metadata(file, outcome)


def _metadata(file: SourceFile, outcome: Outcome) -> tuple[Mapping[str, Json], Finding | None]:
    if not pyproject.can_judge():
        return _row(file.path, outcome, "ok") | {"error": pyproject.REMEDY}, None
    invalid = pyproject.judge(outcome.document, "\n".join(file.text_lines))
    if invalid is None:
        return _row(file.path, outcome, "ok"), None
    finding = Finding(
        rule="SYN004",
        severity=Severity.MEDIUM,
        message=invalid.message,
        location=Location(path=file.path, line=invalid.line),
        symbol=invalid.key,
        evidence=(Evidence(kind="source", summary=f"validate-pyproject refuses {file.path} for `{invalid.key}`"),),
        impact="Installing or building the project can fail, or leave out what the key was meant to say.",
        remediation="Correct the key as the specification of pyproject.toml lays it out.",
    )
    return _row(file.path, outcome, "FAIL") | {"error": f"line {invalid.line}: {invalid.message}"}, finding


def _row(path: str, outcome: Outcome, status: str) -> dict[str, Json]:
    error = f"line {outcome.line}: {outcome.error}" if outcome.error else None
    return {"path": path, "format": outcome.format, "status": status, "error": error}


def _syntax_finding(path: str, outcome: Outcome) -> Finding:
    place = f"line {outcome.line}, column {outcome.column}"
    mild = "only without its comments and trailing commas: " if outcome.comments else ""
    message = (
        f"Not {outcome.format}: {outcome.error}" if outcome.format else f"The file cannot be read: {outcome.error}"
    )
    return Finding(
        rule="SYN003",
        severity=Severity.LOW if outcome.comments else Severity.HIGH,
        message=f"JSON {mild}{outcome.error}" if mild else message,
        location=Location(path=path, line=outcome.line, column=outcome.column),
        evidence=(Evidence(kind="source", summary=f"the parser stops at {place}: {outcome.error}"),),
        why="A strict reader, `json.load()` among them, refuses the file; some readers take comments."
        if mild
        else "A configuration file is read whole or not at all.",
        impact="" if mild else "Whatever loads this file raises.",
        remediation="Take the comments out, unless everything that reads the file takes them."
        if mild
        else "Correct the file at the place named.",
    )
