"""Decides how a report is written for GitLab's Code Quality widget: a list of findings with places in files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from reports.findings import ranked
from reports.json_report import harmless, plain
from reports.places import file_of, last_line, some_file
from reports.troubles import unexplained
from verifier.api import Severity, one_line

if TYPE_CHECKING:
    from verifier.api import Reported, RunReport

_SEVERITIES = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
    Severity.INFO: "info",
}


def render(report: RunReport) -> str:
    """Return the list, worst first. What blocks without a finding is in it too: an empty list would say all is well."""
    otherwise = some_file(report)
    entries = [_trouble(report.task, what, why, otherwise) for what, why in unexplained(report.stages)]
    entries += [_entry(item.reported, otherwise) for item in ranked(report.stages)]
    _make_unique(entries)
    lines = ",\n".join(harmless(json.dumps(plain(entry), ensure_ascii=False)) for entry in entries)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def _entry(item: Reported, otherwise: str) -> dict[str, Any]:
    finding = item.finding
    return {
        "description": f"{finding.rule} {one_line(item.name, 80)}: {one_line(finding.message)}",
        "check_name": finding.rule,
        "fingerprint": item.fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {
            "path": file_of(finding.location.path, otherwise),
            "lines": {"begin": finding.location.line, "end": last_line(finding.location)},
        },
    }


def _trouble(task: str, what: str, why: str, path: str) -> dict[str, Any]:
    mark = hashlib.sha256(f"{task}\x1f{what}".encode("utf-8", "backslashreplace")).hexdigest()[:20]
    return {
        "description": f"{what}: {why}",
        "check_name": "verify",
        "fingerprint": mark,
        "severity": "blocker",
        "location": {"path": path, "lines": {"begin": 1, "end": 1}},
    }


def _make_unique(entries: list[dict[str, Any]]) -> None:
    """Tell apart what two stages found alike: GitLab drops all but the first of one fingerprint."""
    seen: Counter[str] = Counter()
    for entry in entries:
        mark = entry["fingerprint"]
        if seen[mark]:
            entry["fingerprint"] = f"{mark}-{seen[mark] + 1}"
        seen[mark] += 1
