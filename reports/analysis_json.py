"""Decides how the report of `verify analyze` is written as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.json_report import finding_row, written
from verifier.api import ANALYSIS_SCHEMA, VERDICT_RULE

if TYPE_CHECKING:
    from verifier.api import AnalysisReport, ModuleAnalysis


def render(report: AnalysisReport) -> str:
    return written(
        {
            "schema": ANALYSIS_SCHEMA,
            "verdict": report.verdict.value,
            "rule": VERDICT_RULE,
            "tool": dict(report.tool),
            "unfinished": list(report.unfinished),
            "modules": [_module(module) for module in report.modules],
            "suppressed": [
                {"reason": item.reason, "line": item.line, "finding": finding_row(item.finding)}
                for item in report.suppressed
            ],
        }
    )


def _module(module: ModuleAnalysis) -> dict[str, Any]:
    return {
        "path": module.path,
        "verdict": module.verdict.value,
        "correctness": [finding_row(item) for item in module.findings],
        **module.facts,
    }
