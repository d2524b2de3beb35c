"""Decides how a report is written as SARIF 2.1.0: for code scanning, within its limits, and for the archive, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports import sarif_rules
from reports.facts import text
from reports.findings import ranked
from reports.json_report import line
from reports.places import file_of, last_line, some_file, uri
from reports.sarif_fixes import fixes
from reports.sarif_text import message
from reports.troubles import unexplained
from verifier.api import StageStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.api import Location, Reported, RunReport

ARCHIVE = "report.archive.sarif"
SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# Of code scanning: 25,000 results a run are taken and 5,000 kept; 1,000 places a result are taken and 100 shown.
RESULTS = 5_000
PLACES = 100
_NO_LIMIT = 10**9


def render(report: RunReport) -> str:
    """Return the file for code scanning: without what a comment silenced, which it would show as open alerts."""
    return _document(report, most=RESULTS, places=PLACES, silenced=False)


def extras(report: RunReport) -> dict[str, str]:
    """Return the file for the archive: every finding and every place, and what was silenced, with the reason."""
    return {ARCHIVE: _document(report, most=_NO_LIMIT, places=_NO_LIMIT, silenced=True)}


def _document(report: RunReport, *, most: int, places: int, silenced: bool) -> str:
    found = [item.reported for item in ranked(report.stages)]
    shown = found[:most]
    hidden = report.suppressed if silenced else ()
    codes = sorted({item.finding.rule for item in [*shown, *(entry.finding for entry in hidden)]})
    names = {item.finding.rule: item.name for item in [*(entry.finding for entry in hidden), *shown]}
    index = {code: number for number, code in enumerate(codes)}
    otherwise = some_file(report)
    results = [_result(item, index, otherwise, places) for item in shown]
    for entry in hidden:
        excuse: dict[str, Any] = {"kind": "inSource", "status": "accepted", "justification": entry.reason}
        results.append(_result(entry.finding, index, otherwise, places) | {"suppressions": [excuse]})
    head = {
        "tool": {
            "driver": {
                "name": "verify",
                "version": text(report.tool, "version") or "unknown",
                "rules": [sarif_rules.descriptor(code, names[code], report.rules.get(code)) for code in codes],
            }
        },
        "automationDetails": {"id": f"verify/{report.task}/"},
        "invocations": [_invocation(report, len(found) - len(shown))],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "task": report.task,
            "title": report.title,
            "verdict": report.verdict.value,
            "score": report.score,
            "findings": len(found),
            "commit": report.source.commit,
        },
    }
    return _written(head, results)


def _written(head: dict[str, Any], results: Sequence[dict[str, Any]]) -> str:
    """Write one result a line: quick, and a difference of two files can be read."""
    rows = ",\n".join(line(result) for result in results)
    begun = f'{{"$schema": "{SCHEMA_URI}", "version": "2.1.0", "runs": [\n{line(head)[:-1]}'
    return f'{begun}, "results": [\n{rows}\n]}}\n]}}\n'


def _invocation(report: RunReport, left_out: int) -> dict[str, Any]:
    notes = [_note("error", f"{what}: {why}") for what, why in unexplained(report.stages)]
    notes += [_note("note", f"not run: stage {one.name}: {one.reason}") for one in report.not_run]
    notes += [_note("note", f"deferred: {one.stage}:{one.gate}: {one.reason}") for one in report.deferred]
    if left_out:
        words = f"code scanning keeps {RESULTS:,} results: these are the worst; {left_out:,} more are in {ARCHIVE}"
        notes.insert(0, _note("warning", words))
    return {
        "executionSuccessful": all(stage.status is not StageStatus.ERRORED for stage in report.stages),
        "toolExecutionNotifications": notes,
    }


def _note(level: str, words: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": message(words)}}


def _result(item: Reported, index: dict[str, int], otherwise: str, places: int) -> dict[str, Any]:
    finding = item.finding
    related = finding.related[: places - 1]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": "error" if item.blocking else sarif_rules.LEVELS[finding.severity],
        "message": {"text": message(finding.message)},
        "locations": [{"physicalLocation": _place(finding.location, otherwise)}],
        "partialFingerprints": {"verify/v1": item.fingerprint},
        "properties": {
            "severity": finding.severity.name,
            "blocking": item.blocking,
            **{key: value for key in ("why", "impact", "remediation") if (value := getattr(finding, key))},
        },
    }
    if related:
        result["relatedLocations"] = [
            {
                "id": number,
                "message": {"text": message(one.message)},
                "physicalLocation": _place(one.location, otherwise),
            }
            for number, one in enumerate(related, start=1)
        ]
    if finding.symbol:
        result["locations"][0]["logicalLocations"] = [{"fullyQualifiedName": finding.symbol}]
    if mended := fixes(item, otherwise):
        result["fixes"] = mended
    return result


def _place(location: Location, otherwise: str) -> dict[str, Any]:
    region = {"startLine": max(1, location.line), "startColumn": max(1, location.column)}
    if last_line(location) > location.line:
        region |= {"endLine": last_line(location)}
    return {"artifactLocation": {"uri": uri(file_of(location.path, otherwise))}, "region": region}
