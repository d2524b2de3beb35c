"""Decides which annotations a report becomes in GitHub Actions, and what the summary of its job says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import concise, markdown
from reports.findings import Judged, ranked
from reports.job_summary import shortened
from reports.places import file_of, last_line, some_file
from reports.troubles import unexplained
from verifier.api import Severity, inert, one_line

if TYPE_CHECKING:
    from verifier.api import RunReport

SUMMARY = "github-summary.md"
OF_EACH_KIND = 10  # GitHub shows that many of a step and drops the others without a word
_KINDS = ("error", "warning", "notice")


def render(report: RunReport) -> str:
    """Return workflow commands, the worst ten of each kind, and the verdict as a line of the log."""
    judged = ranked(report.stages)
    commands: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    commands["error"] += [_command("error", {"title": what}, why) for what, why in unexplained(report.stages)]
    for item in judged:
        kind = _kind(item)
        commands[kind].append(_annotation(kind, item, some_file(report)))
    lines = [line for kind in _KINDS for line in _few(kind, commands[kind])]
    return "\n".join([*lines, inert(concise.last_line(report, judged))]) + "\n"


def extras(report: RunReport) -> dict[str, str]:
    """Return the text for the summary of the job."""
    return {SUMMARY: shortened(markdown.alone(report))}


def _kind(item: Judged) -> str:
    severity = item.reported.finding.severity
    if item.reported.blocking or severity >= Severity.HIGH:
        return "error"
    return "notice" if severity is Severity.INFO else "warning"


def _few(kind: str, commands: list[str]) -> list[str]:
    if len(commands) <= OF_EACH_KIND:
        return commands
    rest = len(commands) - OF_EACH_KIND + 1
    words = f"and {rest:,} more of this kind; the summary of the job and the report list them"
    return [*commands[: OF_EACH_KIND - 1], _command(kind, {"title": "not shown"}, words)]


def _annotation(kind: str, item: Judged, otherwise: str) -> str:
    finding = item.reported.finding
    where = finding.location
    said = [one_line(text) for text in (finding.message, finding.impact, finding.remediation) if text.strip()]
    properties = {
        "file": file_of(where.path, otherwise),
        "line": str(where.line),
        "endLine": str(last_line(where)),
        "col": str(where.column),
        "title": f"{finding.rule} {item.reported.name} [{finding.severity.name}]",
    }
    if last_line(where) > where.line:
        del properties["col"]  # GitHub takes columns only within one line
    return _command(kind, properties, "\n".join(said))


def _command(kind: str, properties: dict[str, str], message: str) -> str:
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{kind} {written}::{_data(message)}"


def _data(text: str) -> str:
    lines = [one_line(line) for line in text.split("\n")]
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return one_line(text, 400).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
