"""Decides the columns and the rows of the tables that every page has."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.escape import code, prose
from reports.facts import text, texts
from reports.figures import duration, listed, plural
from reports.findings import Judged, counted, place
from reports.table import FOLD_ABOVE, Cell, Table, table
from verifier.api import GateStatus, Severity, StageStatus

if TYPE_CHECKING:
    from verifier.api import Acceptance, FileRecord, Gate, Json, StageResult, Suppressed

_OTHERS_LIMIT = 200
_TROUBLED = (GateStatus.FAIL, GateStatus.WARN)
_WORST_FIRST = (GateStatus.FAIL, GateStatus.WARN, GateStatus.DEFERRED, GateStatus.PASS)


@dataclass(frozen=True, slots=True)
class StageGate:
    """A gate and the stage it belongs to."""

    stage: str
    gate: Gate

    @property
    def label(self) -> str:
        return f"{self.stage}:{self.gate.name}"


def gates_of(stages: Iterable[StageResult]) -> list[StageGate]:
    """Return every gate, worst first."""
    pairs = [StageGate(stage.name, gate) for stage in stages for gate in stage.gates]
    return sorted(pairs, key=lambda pair: _WORST_FIRST.index(pair.gate.status))


def stage_table(stages: Sequence[StageResult], pages: Mapping[str, str]) -> Table:
    return table(
        "Stage|Status|Score|Findings|Gates|Checks|Seconds",
        (_stage_row(stage, pages.get(stage.name)) for stage in stages),
        right="Score|Checks|Seconds",
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


@dataclass(frozen=True, slots=True)
class FileTables:
    """The per-file tables: of few files all in the first, of many the troubled first and the others apart."""

    first: Table
    others: Table
    note: str


def file_tables(files: Sequence[FileRecord], judged: Iterable[Judged], *, decided: bool) -> FileTables:
    """Return the per-file tables, worst file first.

    Args:
        decided: every stage came to its end; otherwise a file without findings has not passed.
    """
    here: dict[str, list[Judged]] = defaultdict(list)
    nearby: dict[str, list[Judged]] = defaultdict(list)
    for item in judged:
        finding = item.reported.finding
        here[finding.location.path].append(item)
        for path in {one.location.path for one in finding.related} - {finding.location.path}:
            nearby[path].append(item)
    ranked = sorted(files, key=lambda file: (*_worst(here[file.path], nearby[file.path]), file.path))
    rows = [_file_row(file, here[file.path], nearby[file.path], decided=decided) for file in ranked]
    troubled = [row for row in rows if row[2] in _TROUBLED]
    others = [row for row in rows if row[2] not in _TROUBLED]
    if len(rows) <= FOLD_ABOVE:
        return FileTables(_file_table(rows), _file_table([]), "")
    if len(others) <= _OTHERS_LIMIT:
        return FileTables(_file_table(troubled), _file_table(others), "")
    note = f"{plural(len(others), 'further file' if troubled else 'file')} without a finding above INFO."
    return FileTables(_file_table(troubled), _file_table([]), note)


def finding_table(judged: Iterable[Judged]) -> Table:
    return table(
        "Severity|Code|Where|What",
        (
            (
                item.reported.finding.severity.name + (" (in the baseline)" if item.reported.baselined else ""),
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
                f"until {entry.until}: {entry.reason}" if entry.until else entry.reason,
            )
            for entry in sorted(entries, key=lambda entry: place(entry.finding.finding.location))
        ),
    )


def command(tool: Mapping[str, Json]) -> str:
    return text(tool, "command") or shlex.join(texts(tool, "command"))


def _stage_row(stage: StageResult, page: str | None) -> tuple[Cell, ...]:
    name = prose(f"{stage.number} {stage.title}", cell=True)
    label = Markup(f"[{name}]({page})") if page else name
    judged = [Judged(stage.name, stage.number, item) for item in stage.findings]
    gates = [
        f"{count} {status.value}"
        for status in _WORST_FIRST
        if (count := sum(gate.status is status for gate in stage.gates))
    ]
    return (
        label,
        stage.status.value,
        "none" if stage.status is StageStatus.SKIPPED else stage.score,
        counted(judged) or "none",
        ", ".join(gates) or "none",
        stage.checks_run,
        duration(stage.duration_s),
    )


def _file_table(rows: list[tuple[Cell, ...]]) -> Table:
    return table("File|Lines|Status|Issues", rows, right="Lines", limit=_OTHERS_LIMIT)


def _file_row(file: FileRecord, here: list[Judged], nearby: list[Judged], *, decided: bool) -> tuple[Cell, ...]:
    status = _file_status(here, nearby, decided=decided)
    return code(file.path, cell=True), file.lines, status, _issues(here, nearby)


def _worst(here: list[Judged], nearby: list[Judged]) -> tuple[bool, int, bool]:
    blocks = any(item.reported.blocking for item in here)
    return not blocks, -max((item.reported.finding.severity for item in here), default=-1), not nearby


def _file_status(here: list[Judged], nearby: list[Judged], *, decided: bool) -> str:
    if any(item.reported.blocking for item in here):
        return GateStatus.FAIL.value
    noted = any(item.reported.finding.severity > Severity.INFO for item in here)
    involved = any(item.reported.blocking for item in nearby)
    if noted or involved:
        return GateStatus.WARN.value
    return GateStatus.PASS.value if decided else "UNDECIDED"


def _issues(here: list[Judged], nearby: list[Judged]) -> Markup:
    own = [f"{item.reported.finding.rule} {item.reported.finding.severity.name}" for item in here]
    others = [f"involved in {item.reported.finding.rule}" for item in nearby]
    return prose(listed(dict.fromkeys([*own, *others])) or "none", cell=True)
