"""Decides what a Markdown page shows and in which order; templates only lay it out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import findings, rows
from reports.facts import text, texts
from reports.figures import listed, plural
from reports.limitations import limitations
from verifier.api import GateStatus, Json, Severity, StageResult, StageStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.findings import FindingView, Judged
    from reports.table import Table
    from verifier.api import RunReport

FULL_LIMIT = 10
PLAN_LIMIT = 20
_MAIN = "report"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the remediation plan."""

    label: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything a page shows, for a task or for one stage of it, in the order of the page."""

    verdict: str
    score: int
    task: str
    title: str
    summary: tuple[str, ...]
    stages: Table
    blocking: tuple[FindingView, ...]
    more_blocking: Table
    stopped: tuple[str, ...]
    failed_gates: Table
    gates: Table
    acceptance: Table
    files: Table
    files_note: str
    other: Table
    suppressed: Table
    deferred: Table
    plan: tuple[Step, ...]
    plan_more: int
    plan_blocking: int
    limitations: tuple[str, ...]
    metadata: Table
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


def task_page(report: RunReport) -> Page:
    return _page(report, report.stages, verdict=report.verdict.value, score=report.score, whole=True)


def stage_page(report: RunReport, stage: StageResult) -> Page:
    return _page(report, (stage,), verdict=stage.status.value, score=stage.score, whole=False)


def _page(report: RunReport, stages: tuple[StageResult, ...], *, verdict: str, score: int, whole: bool) -> Page:
    judged = findings.ranked(stages)
    blocking = [item for item in judged if item.reported.blocking]
    other = [item for item in judged if not item.reported.blocking]
    files, note = rows.file_table(report.source.files, judged)
    names = {stage.name for stage in stages}
    plan = _plan(stages, judged)
    return Page(
        verdict=verdict,
        score=score,
        task=report.task,
        title=report.title,
        summary=_summary(report, stages, judged),
        stages=rows.stage_table(stages, stage_pages(report) if whole else {}),
        blocking=tuple(findings.view(item, report.snippets) for item in blocking[:FULL_LIMIT]),
        more_blocking=rows.finding_table(blocking[FULL_LIMIT:]),
        stopped=_stopped(stages),
        failed_gates=rows.gate_table(_unexplained(stages), with_stage=whole),
        gates=rows.gate_table(_gates(stages), with_stage=whole),
        acceptance=rows.acceptance_table(report.acceptance) if whole else rows.acceptance_table(()),
        files=files,
        files_note=note,
        other=rows.finding_table(other),
        suppressed=rows.suppressed_table(item for item in report.suppressed if item.stage in names),
        deferred=rows.deferred_table(item for item in report.deferred if whole or item.stage in names),
        plan=tuple(plan[:PLAN_LIMIT]),
        plan_more=max(0, len(plan) - PLAN_LIMIT),
        plan_blocking=min(len(plan), len(_stopped(stages)) + len(_unexplained(stages)) + len(blocking)),
        limitations=limitations(report, stages, whole=whole),
        metadata=rows.metadata_table(report),
        command=_command(report.tool),
    )


def _summary(report: RunReport, stages: tuple[StageResult, ...], judged: list[Judged]) -> tuple[str, ...]:
    gates = [gate for stage in stages for gate in stage.gates]
    failed = [gate.name for gate in gates if gate.status is GateStatus.FAIL]
    deferred = sum(gate.status is GateStatus.DEFERRED for gate in gates)
    blocking = [item for item in judged if item.reported.blocking]
    unfit = [stage for stage in stages if stage.status in (StageStatus.ERRORED, StageStatus.SKIPPED)]
    lines = []
    if blocking:
        counts = findings.counted(blocking)
        lines.append(
            f"{len(blocking)} of {plural(len(judged), 'finding')} "
            f"{'blocks' if len(blocking) == 1 else 'block'}: {counts}."
        )
    elif judged:
        lines.append(f"{plural(len(judged), 'finding')}: {findings.counted(judged)}. None of them blocks.")
    else:
        lines.append("No findings.")
    if failed:
        lines.append(f"{plural(len(failed), 'gate')} failed: {listed(f'`{name}`' for name in failed)}.")
    elif gates:
        passed = sum(gate.status in (GateStatus.PASS, GateStatus.WARN) for gate in gates)
        lines.append(f"{passed} of {plural(len(gates), 'gate')} passed, none failed.")
    if unfit:
        named = listed(f"`{stage.name}` {stage.status.value}" for stage in unfit)
        lines.append(f"Not decided, and therefore not passed: {named}.")
    if deferred:
        lines.append(f"{plural(deferred, 'gate')} deferred to another machine or an optional dependency.")
    if report.verdict is Verdict.PASS and report.suppressed:
        lines.append(f"{plural(len(report.suppressed), 'finding')} silenced by comments in the code.")
    return tuple(lines)


def _stopped(stages: tuple[StageResult, ...]) -> tuple[str, ...]:
    """Say which stages block without a finding: what crashed, and what could not start because of it."""
    said = []
    for stage in stages:
        if stage.status is StageStatus.ERRORED:
            own = " The verifier itself failed here, not the code." if stage.internal else ""
            said.append(f"Stage `{stage.name}` ended ERRORED: {stage.reason or 'no reason was given'}.{own}")
        elif stage.status is StageStatus.SKIPPED:
            said.append(f"Stage `{stage.name}` was SKIPPED: {stage.reason or 'no reason was given'}.")
    return tuple(line.replace("..", ".") for line in said)


def _gates(stages: tuple[StageResult, ...]) -> list[rows.StageGate]:
    order = [GateStatus.FAIL, GateStatus.WARN, GateStatus.DEFERRED, GateStatus.PASS]
    pairs = [rows.StageGate(stage.name, gate) for stage in stages for gate in stage.gates]
    return sorted(pairs, key=lambda pair: order.index(pair.gate.status))


def _unexplained(stages: tuple[StageResult, ...]) -> list[rows.StageGate]:
    """Return the failed gates of stages in which no finding blocks: nothing else would say why they block."""
    silent = tuple(stage for stage in stages if not any(item.blocking for item in stage.findings))
    return [pair for pair in _gates(silent) if pair.gate.status is GateStatus.FAIL]


def _plan(stages: tuple[StageResult, ...], judged: list[Judged]) -> list[Step]:
    steps = [Step("", "", line) for line in _stopped(stages)]
    steps += [Step(pair.label, "", f"{pair.gate.requirement}: {pair.gate.evidence}") for pair in _unexplained(stages)]
    for item in judged:
        finding = item.reported.finding
        if item.reported.blocking or finding.severity > Severity.INFO:
            label = f"{finding.rule} {finding.severity.name}"
            steps.append(Step(label, findings.place(finding.location), _first(finding.remediation or finding.message)))
    return steps


def _first(remediation: str) -> str:
    """Return the first paragraph of a remediation; the finding itself holds the rest."""
    return remediation.strip().split("\n", maxsplit=1)[0]


def _command(tool: Mapping[str, Json]) -> str:
    return text(tool, "command") or " ".join(texts(tool, "command"))
