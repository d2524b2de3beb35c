"""Decides how a report becomes an in-toto statement: which digests it is about, and what it says of them.

Statement v1 and the predicate test-result v0.1 of the in-toto attestation framework. It is not signed: that is the
business of whoever runs the build (`cosign attest-blob`, `actions/attest`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reports import json_report
from reports.facts import section, text, texts
from verifier.api import GateStatus, StageStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verifier.api import RunReport

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
_OF_STAGES = {StageStatus.PASSED: "passedTests", StageStatus.DEFERRED: "warnedTests"}
_OF_GATES = {
    GateStatus.PASS: "passedTests",
    GateStatus.WARN: "warnedTests",
    GateStatus.DEFERRED: "warnedTests",  # not decided here: never among what passed
    GateStatus.FAIL: "failedTests",
}


def render(report: RunReport) -> str:
    return json_report.written(statement(report))


def statement(report: RunReport) -> dict[str, Any]:
    """Return the statement: every file that was judged is a subject, every stage and gate a test."""
    tests = _tests(report)
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": file.path, "digest": {"sha256": file.sha256}}
            for file in sorted(report.source.files, key=lambda file: file.path)
        ],
        "predicateType": PREDICATE,
        "predicate": {"result": _result(report, tests), "configuration": list(_configuration(report)), **tests},
    }


def _result(report: RunReport, tests: dict[str, list[str]]) -> str:
    if report.verdict is not Verdict.PASS or tests["failedTests"]:
        return "FAILED"
    return "WARNED" if tests["warnedTests"] else "PASSED"


def _tests(report: RunReport) -> dict[str, list[str]]:
    tests: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for stage in report.stages:
        tests[_OF_STAGES.get(stage.status, "failedTests")].append(stage.name)
        for gate in stage.gates:
            tests[_OF_GATES[gate.status]].append(f"{stage.name}:{gate.name}")
    tests["warnedTests"] += [stage.name for stage in report.not_run]  # what did not run proved nothing
    return tests


def _configuration(report: RunReport) -> Iterator[dict[str, Any]]:
    """Yield a resource descriptor for everything that the result depends on besides the subjects."""
    used = section(report.tool, "configuration")
    if text(used, "sha256"):
        yield {"name": text(used, "path"), "digest": {"sha256": text(used, "sha256")}}
    yield {
        "name": "report.json",
        "digest": {"sha256": hashlib.sha256(json_report.render(report).encode()).hexdigest()},
        "annotations": {"task": report.task, "verdict": report.verdict.value, "score": report.score},
    }
    if report.source.commit:
        yield {
            "name": "source",
            "digest": {"gitCommit": report.source.commit},
            "annotations": {"dirty": bool(report.source.dirty)},
        }
    version = text(report.tool, "version")
    yield {
        "name": "verify-amp",
        "uri": _package("verify-amp", version),
        "annotations": {"command": text(report.tool, "command"), "block_at": report.block_at},
    }
    for plugin in texts(report.tool, "plugins"):
        name, _, version = plugin.rpartition(" ")
        yield {"name": name, "uri": _package(name, version)}
    plain = {key: value for key, value in report.environment.items() if isinstance(value, str | bool | int | float)}
    python = text(report.environment, "python")
    yield {"name": "environment", "uri": f"pkg:generic/python@{_quoted(python)}", "annotations": plain}


def _package(name: str, version: str) -> str:
    return f"pkg:pypi/{_quoted(name.lower().replace('_', '-'))}@{_quoted(version)}"


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "backslashreplace"), safe="")
