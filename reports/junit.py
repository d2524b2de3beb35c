"""Decides how a report is written as JUnit XML: every gate and every finding is a test case."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from reports.findings import place
from verifier.api import GateStatus, StageStatus, Verdict, cut, one_line, visible

if TYPE_CHECKING:
    from verifier.api import Gate, Reported, RunReport, StageResult

_COMMAND = re.compile(r"##(?=(?:vso|teamcity)?\[)")
_COMMAND_LINE = re.compile(r"^(\s*):(?=:[A-Za-z])", re.MULTILINE)
_DETAIL = 4_000
_KINDS = ("failure", "error", "skipped")


def render(report: RunReport) -> str:
    """Return the document. It has a failure or an error if, and only if, the verdict is BLOCK."""
    root = ET.Element("testsuites", name=_name(report.task))
    root.append(_suite("verify", [_verdict(report)], 0.0))
    for stage in report.stages:
        cases = [_stage_case(stage), *(_gate_case(stage, gate) for gate in stage.gates)]
        cases += [_finding_case(stage, item) for item in stage.findings]
        cases += [
            _silenced(stage, entry.finding, entry.reason) for entry in report.suppressed if entry.stage == stage.name
        ]
        root.append(_suite(_name(stage.name), cases, stage.duration_s))
    for one in report.not_run:
        case = _case(_name(one.name), "stage", skipped=one.reason or "not run")
        root.append(_suite(_name(one.name), [case], 0.0))
    suites = list(root)
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.set("time", _seconds(sum(stage.duration_s for stage in report.stages)))
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode")
    text = _COMMAND_LINE.sub(r"\1&#58;", _COMMAND.sub("#&#35;", text))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(name: str, cases: list[ET.Element], duration_s: float) -> ET.Element:
    counts = {kind: sum(case.find(kind) is not None for case in cases) for kind in _KINDS}
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=_seconds(duration_s),
    )
    suite.extend(cases)
    return suite


def _verdict(report: RunReport) -> ET.Element:
    words = f"{report.verdict.value} {report.score}/100"
    return _case("verify", "verdict", failure=words if report.verdict is Verdict.BLOCK else "", said=words)


def _stage_case(stage: StageResult) -> ET.Element:
    broken = stage.status in (StageStatus.ERRORED, StageStatus.SKIPPED)
    said = f"{stage.status.value}: {stage.checks_run} checks"
    return _case(
        _name(stage.name),
        "stage",
        error=f"{stage.status.value}: {stage.reason or 'no reason given'}" if broken else "",
        skipped="every gate is deferred" if stage.status is StageStatus.DEFERRED else "",
        said=said,
    )


def _gate_case(stage: StageResult, gate: Gate) -> ET.Element:
    return _case(
        f"{_name(stage.name)}.gates",
        f"{_name(gate.name)}: {one_line(gate.requirement, 200)}",
        failure=gate.evidence or "failed" if gate.status is GateStatus.FAIL else "",
        skipped=f"DEFERRED: {gate.evidence}" if gate.status is GateStatus.DEFERRED else "",
        said=f"{gate.status.value}: {gate.evidence}",
    )


def _finding_case(stage: StageResult, item: Reported) -> ET.Element:
    finding = item.finding
    headline = f"{finding.severity.name}: {finding.message}"
    case = _case(*_names(stage, item), failure=headline if item.blocking else "", said=headline)
    case.set("file", one_line(finding.location.path, 400))
    case.set("line", str(finding.location.line))
    case[0].text = _detail(item)
    return case


def _silenced(stage: StageResult, item: Reported, reason: str) -> ET.Element:
    return _case(*_names(stage, item), skipped=f"allowed by a comment: {reason}")


def _names(stage: StageResult, item: Reported) -> tuple[str, str]:
    where = one_line(place(item.finding.location), 400)
    return f"{_name(stage.name)}.findings", f"{item.finding.rule} {_name(item.name)} at {where}"


def _case(
    classname: str, name: str, *, failure: str = "", error: str = "", skipped: str = "", said: str = ""
) -> ET.Element:
    """Return a test case with one outcome; one that passed says in `system-out` what was seen."""
    case = ET.Element("testcase", classname=classname, name=name, time="0")
    for kind, message in (("failure", failure), ("error", error), ("skipped", skipped)):
        if message:
            ET.SubElement(case, kind, message=one_line(message), type=kind)
            return case
    ET.SubElement(case, "system-out").text = _lines(said)
    return case


def _detail(item: Reported) -> str:
    finding = item.finding
    parts = [f"{finding.severity.name} {finding.rule} {item.name}: {finding.message}", place(finding.location)]
    parts += [f"{place(one.location)}: {one.message}" for one in finding.related[:20]]
    parts += [text for text in (finding.why, finding.impact, finding.remediation) if text]
    return _lines("\n".join(parts))


def _lines(text: str) -> str:
    return "\n".join(visible(line.expandtabs(4).rstrip()) for line in cut(text, _DETAIL).split("\n"))


def _name(text: str) -> str:
    return one_line(text, 120)


def _seconds(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "0.000"
