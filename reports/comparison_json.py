"""Decides how a comparison is written as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.json_report import written
from verifier.api import COMPARISON_SCHEMA

if TYPE_CHECKING:
    from verifier.api import ChangedFinding, ChangedStatus, ComparedFigure, Comparison, SavedFinding, SavedReport


def render(comparison: Comparison) -> str:
    return written(
        {
            "schema": COMPARISON_SCHEMA,
            "task": comparison.new.task,
            "blocks": comparison.blocks,
            "old": _report(comparison.old),
            "new": _report(comparison.new),
            "findings": {
                "new": [_finding(one) for one in comparison.added],
                "fixed": [_finding(one) for one in comparison.fixed],
                "worse": [_changed(one) for one in comparison.changed if one.turn.value == "worse"],
                "better": [_changed(one) for one in comparison.changed if one.turn.value == "better"],
                "silenced": [_finding(one) for one in comparison.silenced],
                "undecided": [_finding(one) for one in comparison.undecided],
                "unchanged": comparison.unchanged,
            },
            "statuses": [_status(one) for one in comparison.statuses],
            "figures": [_figure(one) for one in comparison.figures],
            "notes": list(comparison.notes),
        }
    )


def _report(report: SavedReport) -> dict[str, Any]:
    return {
        "verdict": report.verdict.value,
        "score": report.score,
        "commit": report.commit,
        "version": report.tool.get("version"),
    }


def _finding(one: SavedFinding) -> dict[str, Any]:
    return {
        "stage": one.stage,
        "rule": one.rule,
        "name": one.name,
        "severity": one.severity.name,
        "blocking": one.blocking,
        "message": one.message,
        "path": one.path,
        "line": one.line,
        "fingerprint": one.fingerprint,
    }


def _changed(item: ChangedFinding) -> dict[str, Any]:
    return {**_finding(item.new), "was": item.old.severity.name, "why": item.why}


def _status(item: ChangedStatus) -> dict[str, Any]:
    return {
        "name": item.name,
        "old": item.old or None,
        "new": item.new or None,
        "turn": item.turn.value,
        "blocks": item.blocks,
    }


def _figure(item: ComparedFigure) -> dict[str, Any]:
    return {
        "name": item.name,
        "unit": item.unit,
        "old": {"value": item.old, "low": item.old_interval[0], "high": item.old_interval[1]},
        "new": {"value": item.new, "low": item.new_interval[0], "high": item.new_interval[1]},
        "turn": item.turn.value,
        "note": item.note,
    }
