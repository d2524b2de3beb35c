"""Decides the columns and the rows of the tables that every page has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.escape import code, html_text, prose
from reports.facts import text, texts
from reports.figures import listed, plural, seconds
from reports.findings import Judged, counted, place
from reports.table import FOLD_ABOVE, Cell, Table, table
from verifier.api import GateStatus, Severity, StageStatus

if TYPE_CHECKING:
    from verifier.api import Acceptance, Deferred, FileRecord, Gate, Json, RunReport, StageResult, Suppressed

_FIRST = ("python", "torch", "device")


@dataclass(frozen=True, slots=True)
class StageGate:
    """A gate and the stage it belongs to."""

    stage: str
    gate: Gate

    @property
    def label(self) -> str:
        return f"{self.stage}:{self.gate.name}"


def stage_table(stages: Sequence[StageResult], pages: Mapping[str, str]) -> Table:
    return table(
        "Stage|Status|Score|Findings|Gates|Checks|Time",
        (_stage_row(stage, pages.get(stage.name)) for stage in stages),
        right="Score|Checks|Time",
    )


def gate_table(gates: Iterable[StageGate], *, with_stage: bool) -> Table:
    return table(
        "Gate|Requirement|Status|Evidence",
        (
            (
                code(pair.label if with_stage else pair.gate.name, cell=True),
                pair.gate.requirement,
                pair.gate.status.value,
                pair.gate.evidence,
            )
            for pair in gates
        ),
    )


def acceptance_table(lines: Iterable[Acceptance]) -> Table:
    return table(
        "Criterion|Status|Proven by|Evidence",
        (
            (
                line.text,
                line.status.value,
                Markup(", ".join(code(gate, cell=True) for gate in line.proven_by)),
                line.evidence,
            )
            for line in lines
        ),
    )


def file_table(files: Sequence[FileRecord], judged: Iterable[Judged]) -> tuple[Table, str]:
    """Return the per-file table, worst first; where there are many files, only those with findings."""
    here: dict[str, list[Judged]] = defaultdict(list)
    nearby: dict[str, list[Judged]] = defaultdict(list)
    for item in judged:
        finding = item.reported.finding
        here[finding.location.path].append(item)
        for path in {one.location.path for one in finding.related} - {finding.location.path}:
            nearby[path].append(item)
    touched = [file for file in files if file.path in here or file.path in nearby]
    clean = len(files) - len(touched)
    shown = list(files) if len(files) <= FOLD_ABOVE else touched
    note = f"{plural(clean, 'further file')} without findings." if len(shown) < len(files) and touched else ""
    if len(files) > FOLD_ABOVE and not touched:
        note = f"{plural(len(files), 'file')}, {sum(file.lines for file in files):,} lines: no findings."
    ordered = sorted(shown, key=lambda file: (*_worst(here[file.path], nearby[file.path]), file.path))
    return table(
        "File|Lines|Status|Issues",
        (
            (
                code(file.path, cell=True),
                file.lines,
                _file_status(here[file.path], nearby[file.path]),
                _issues(here[file.path], nearby[file.path]),
            )
            for file in ordered
        ),
        right="Lines",
    ), note


def finding_table(judged: Iterable[Judged]) -> Table:
    return table(
        "Severity|Code|Where|What",
        (
            (
                item.reported.finding.severity.name,
                Markup(f"{code(item.reported.finding.rule, cell=True)} {prose(item.reported.name, cell=True)}"),
                code(place(item.reported.finding.location), cell=True),
                item.reported.finding.message,
            )
            for item in judged
        ),
    )


def suppressed_table(entries: Iterable[Suppressed]) -> Table:
    return table(
        "Code|Where|What|Reason given",
        (
            (
                code(entry.finding.finding.rule, cell=True),
                code(place(entry.finding.finding.location), cell=True),
                entry.finding.finding.message,
                entry.reason,
            )
            for entry in sorted(entries, key=lambda entry: place(entry.finding.finding.location))
        ),
    )


def deferred_table(entries: Iterable[Deferred]) -> Table:
    return table(
        "Gate|Why it could not be decided here",
        ((code(f"{entry.stage}:{entry.gate}", cell=True), entry.reason) for entry in entries),
    )


def metadata_table(report: RunReport) -> Table:
    source, environment = report.source, report.environment
    state = {True: " with uncommitted changes", False: "", None: ""}[source.dirty]
    commit = prose(f"{source.commit}{state}", cell=True) if source.commit else "not under git"
    lines = sum(file.lines for file in source.files)
    plugins = texts(report.tool, "plugins")
    entries: list[tuple[Cell, Cell]] = [
        ("verify", text(report.tool, "version") or "unknown version"),
        *([("Plugins", listed(plugins, 20))] if plugins else []),
        ("Commit", commit),
        ("Files", f"{plural(len(source.files), 'file')}, {lines:,} lines; digests in `report.json`"),
        ("Blocks at", report.block_at.upper()),
    ]
    keys = [*(key for key in _FIRST if key in environment), *sorted(environment.keys() - set(_FIRST))]
    entries += [(key.capitalize(), _plain(environment[key])) for key in keys]
    return table("What|Value", entries)


def _stage_row(stage: StageResult, page: str | None) -> tuple[Cell, ...]:
    name = prose(f"{stage.number} {stage.title}", cell=True)
    label = Markup(f"[{name}]({html_text(page)})") if page else name
    judged = [Judged(stage.name, stage.number, item) for item in stage.findings]
    decided = stage.status in (StageStatus.PASSED, StageStatus.FAILED)
    gates = [
        f"{count} {status.value}"
        for status in (GateStatus.FAIL, GateStatus.WARN, GateStatus.DEFERRED, GateStatus.PASS)
        if (count := sum(gate.status is status for gate in stage.gates))
    ]
    return (
        label,
        stage.status.value,
        stage.score if decided else "-",
        counted(judged) or "none",
        ", ".join(gates) or "none",
        stage.checks_run,
        seconds(stage.duration_s),
    )


def _worst(here: list[Judged], nearby: list[Judged]) -> tuple[bool, int, bool]:
    blocks = any(item.reported.blocking for item in here)
    return not blocks, -max((item.reported.finding.severity for item in here), default=-1), not nearby


def _file_status(here: list[Judged], nearby: list[Judged]) -> str:
    if any(item.reported.blocking for item in here):
        return GateStatus.FAIL.value
    noted = any(item.reported.finding.severity > Severity.INFO for item in here)
    involved = any(item.reported.blocking for item in nearby)
    return GateStatus.WARN.value if noted or involved else GateStatus.PASS.value


def _issues(here: list[Judged], nearby: list[Judged]) -> Markup:
    own = [f"{item.reported.finding.rule} {item.reported.finding.severity.name}" for item in here]
    others = [f"involved in {item.reported.finding.rule}" for item in nearby]
    return prose(listed(dict.fromkeys([*own, *others])) or "none", cell=True)


def _plain(value: Json) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return listed([_plain(item) for item in value], 20)
    if isinstance(value, dict):
        return listed([f"{key}: {_plain(item)}" for key, item in value.items()], 20)
    return str(value)
