"""Decides what a Markdown page shows and in which order; templates only lay it out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports import findings, rows
from reports.about import about
from reports.limitations import limitations, narrowed
from reports.summary import summary
from reports.table import ROW_LIMIT
from verifier.api import GateStatus, Severity, StageResult, StageStatus

if TYPE_CHECKING:
    from reports.findings import FindingView, Judged
    from reports.rows import FileTables
    from reports.table import Table
    from verifier.api import Deferred, RunReport

FULL_LIMIT = 10
PLAN_LIMIT = 20
_MAIN = "report"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the remediation plan: what to do, and at how many places."""

    label: str
    place: str
    text: str
    others: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Everything a page shows, for a task or for one stage of it, in the order of the page."""

    verdict: str
    score: int
    task: str
    title: str
    summary: tuple[str, ...]
    stages: Table
    crashed: tuple[str, ...]
    blocking: tuple[FindingView, ...]
    more_blocking: Table
    failed_gates: Table
    skipped: tuple[str, ...]
    gates: Table
    acceptance: Table
    files: FileTables
    noted: tuple[FindingView, ...]
    other: Table
    suppressed: Table
    deferred: tuple[Deferred, ...]
    more_deferred: int
    plan: tuple[Step, ...]
    more_plan: int
    blocking_steps: int
    limitations: tuple[str, ...]
    about: tuple[str, ...]
    command: str


def stage_pages(report: RunReport) -> dict[str, str]:
    """Return the page of every stage that ran, by stage name."""
    pages: dict[str, str] = {}
    for stage in report.stages:
        if stage.status is StageStatus.SKIPPED:
            continue
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", stage.name).strip("-") or "stage"
        if slug == _MAIN or f"{slug}.md" in pages.values():
            slug = f"stage-{stage.number}-{slug}"
        pages[stage.name] = f"{slug}.md"
    return pages


def task_page(report: RunReport, *, linked: bool = True) -> Page:
    page = _page(report, report.stages, verdict=report.verdict.value, score=report.score, whole=True)
    return page if linked else replace(page, stages=rows.stage_table(report.stages, {}))


def stage_page(report: RunReport, stage: StageResult) -> Page:
    return _page(report, (stage,), verdict=stage.status.value, score=stage.score, whole=False)


def _page(report: RunReport, stages: tuple[StageResult, ...], *, verdict: str, score: int, whole: bool) -> Page:
    judged = findings.ranked(stages)
    blocking = [item for item in judged if item.reported.blocking]
    noted = [] if whole else [item for item in judged if _worth_a_section(item)][:FULL_LIMIT]
    names = {stage.name for stage in stages}
    suppressed = [item for item in report.suppressed if item.stage in names]
    deferred = tuple(item for item in report.deferred if whole or item.stage in names)
    decided = all(stage.status not in (StageStatus.ERRORED, StageStatus.SKIPPED) for stage in stages)
    files = rows.file_tables(report.source.files if whole or judged else (), judged, decided=decided)
    gates = rows.gates_of(stages)
    unexplained = _unexplained(stages)
    urgent, later = _urgent(stages, unexplained, blocking), _later(judged)
    plan = [*urgent, *later]
    return Page(
        verdict=verdict,
        score=score,
        task=report.task,
        title=report.title,
        summary=(*summary(stages, judged, len(suppressed), whole=whole), *narrowed(report)),
        stages=rows.stage_table(stages, stage_pages(report) if whole else {}),
        crashed=_crashed(stages),
        blocking=tuple(findings.view(item, report.snippets) for item in blocking[:FULL_LIMIT]),
        more_blocking=rows.finding_table(blocking[FULL_LIMIT:]),
        failed_gates=rows.gate_table(unexplained, with_stage=whole),
        skipped=_skipped(stages),
        gates=rows.gate_table(gates, with_stage=whole),
        acceptance=rows.acceptance_table(report.acceptance if whole else ()),
        files=files,
        noted=tuple(findings.view(item, report.snippets) for item in noted),
        other=rows.finding_table(item for item in judged if not item.reported.blocking and item not in noted),
        suppressed=rows.suppressed_table(suppressed),
        deferred=deferred[:ROW_LIMIT],
        more_deferred=max(0, len(deferred) - ROW_LIMIT),
        plan=tuple(plan[:PLAN_LIMIT]),
        more_plan=max(0, len(plan) - PLAN_LIMIT),
        blocking_steps=len(urgent) if later else 0,
        limitations=limitations(report, stages, task=whole),
        about=about(report),
        command=rows.command(report.tool),
    )


def _worth_a_section(item: Judged) -> bool:
    """Say whether a stage page shows a finding that does not block with its code, not only as a row."""
    known = item.reported.blocking or item.reported.baselined
    return not known and item.reported.finding.severity >= Severity.MEDIUM


def _crashed(stages: tuple[StageResult, ...]) -> tuple[str, ...]:
    """Say which stages broke off without a finding that says so."""
    return tuple(
        f"Stage `{stage.name}` broke off (ERRORED): {stage.reason or 'no reason was given'}"
        for stage in stages
        if stage.status is StageStatus.ERRORED and not any(item.blocking for item in stage.findings)
    )


def _skipped(stages: tuple[StageResult, ...]) -> tuple[str, ...]:
    return tuple(
        f"Stage `{stage.name}` was SKIPPED: {stage.reason or 'no reason was given'}"
        for stage in stages
        if stage.status is StageStatus.SKIPPED
    )


def _unexplained(stages: tuple[StageResult, ...]) -> list[rows.StageGate]:
    """Return the failed gates of stages in which no finding blocks: nothing else would say why they block."""
    silent = [stage for stage in stages if not any(item.blocking for item in stage.findings)]
    return [pair for pair in rows.gates_of(silent) if pair.gate.status is GateStatus.FAIL]


def _urgent(stages: tuple[StageResult, ...], gates: list[rows.StageGate], blocking: list[Judged]) -> list[Step]:
    """Return the steps that clear what blocks; a stage that was only skipped needs no step of its own."""
    return [
        *(Step("", "", line) for line in _crashed(stages)),
        *_steps(blocking),
        *(Step(pair.label, "", f"{pair.gate.requirement}: {pair.gate.evidence}") for pair in gates),
    ]


def _later(judged: list[Judged]) -> list[Step]:
    open_items = [item for item in judged if not item.reported.blocking]
    return _steps([item for item in open_items if item.reported.finding.severity > Severity.INFO])


def _steps(items: list[Judged]) -> list[Step]:
    """Return one step for each advice, however many places it concerns."""
    steps: dict[tuple[str, str], Step] = {}
    for item in items:
        step = _step(item)
        known = steps.get((step.label, step.text))
        steps[step.label, step.text] = step if known is None else replace(known, others=known.others + 1)
    return list(steps.values())


def _step(item: Judged) -> Step:
    finding = item.reported.finding
    advice = (finding.remediation or finding.message).strip().split("\n", maxsplit=1)[0]
    if advice.endswith(":"):  # the code that follows stands with the finding
        advice = f"{advice[:-1]}."
    return Step(f"{finding.rule} {finding.severity.name}", findings.place(finding.location), advice)
