"""Decides which Markdown documents a report becomes: one for the task, one for each stage that ran."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reports import plots
from reports.environment import environment
from reports.facts import rows
from reports.integration_view import IntegrationView, integration_view
from reports.logic_view import LogicView, logic_view
from reports.performance_plots import Plot, performance_plots
from reports.performance_view import PerformanceView, performance_view
from reports.security_view import SecurityView, security_view
from reports.syntax_view import SyntaxView, syntax_view
from reports.timeline_plot import timeline_plots
from reports.view import stage_page, stage_pages, task_page
from verifier.api import inert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifier.api import RunReport, StageResult

_BLANK_LINES = re.compile(r"\n{3,}")


def render(report: RunReport) -> str:
    return _document("report.md.j2", page=task_page(report))


def alone(report: RunReport) -> str:
    """Return the page of the task for a place that has no other files beside it: without links to them."""
    return _document("report.md.j2", page=task_page(report, linked=False))


def extras(report: RunReport) -> dict[str, str]:
    """Return the stage pages and the plots they link to."""
    drawn = plots.loss_plots(report) if _has_workloads(report) and plots.available() else None
    names = None if drawn is None else {workload: file for workload, (file, _) in drawn.items()}
    timelines = timeline_plots(report)
    shown = {run: file for run, (file, _) in timelines.items()}
    pages = stage_pages(report)
    ran = [stage for stage in report.stages if stage.name in pages]
    measured = performance_plots(report) if plots.available() else None
    documents = {pages[stage.name]: _page(report, stage, names, shown, measured) for stage in ran}
    pictures = {plot.file: plot.svg for plot in measured or ()}
    return documents | dict((drawn or {}).values()) | dict(timelines.values()) | pictures


def _has_workloads(report: RunReport) -> bool:
    return any(rows(stage.facts, "workloads") for stage in report.stages)


def _page(
    report: RunReport,
    stage: StageResult,
    plot_names: Mapping[str, str] | None,
    timelines: Mapping[str, str],
    measured: Sequence[Plot] | None,
) -> str:
    """Write a stage's page; a stage of someone else's plugin has the common sections only."""
    details: SyntaxView | LogicView | IntegrationView | PerformanceView | SecurityView | None = None
    if stage.name == "syntax":
        details = syntax_view(stage.facts)
    elif stage.name == "logic":
        details = logic_view(stage.facts)
    elif stage.name == "integration":
        details = integration_view(stage.facts, plot_names, timelines)
    elif stage.name == "performance":
        details = performance_view(stage.facts, stage.gates, report.task, measured)
    elif stage.name == "security":
        details = security_view(stage.facts)
    return _document("stage.md.j2", page=stage_page(report, stage), stage=stage, details=details)


def _document(template: str, **values: object) -> str:
    text = environment().get_template(template).render(**values)
    return inert(_BLANK_LINES.sub("\n\n", text).strip(), colon="\\:") + "\n"
