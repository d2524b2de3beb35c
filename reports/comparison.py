"""Decides what people read of a comparison: what blocks now, what is fixed, what went which way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reports.escape import code, prose
from reports.figures import figure, plural
from reports.table import Cell, table, write
from verifier.api import Turn, one_line

if TYPE_CHECKING:
    from markupsafe import Markup

    from verifier.api import ChangedFinding, ChangedStatus, ComparedFigure, Comparison, SavedFinding

_SHOWN = 20
Write = Callable[[str], str]


def text(comparison: Comparison) -> str:
    lines = [_headline(comparison, one_line), ""]
    for title, rows in _sections(comparison):
        lines += [f"{title}:", *(f"  {one_line(row)}" for row in rows[:_SHOWN])]
        lines += [f"  and {len(rows) - _SHOWN:,} more"] * (len(rows) > _SHOWN)
    return "\n".join([*lines, _closing(comparison)]) + "\n"


def markdown(comparison: Comparison) -> str:
    parts = [f"# {_headline(comparison, lambda value: str(prose(value, limit=120)))}", _closing(comparison)]
    tables = [(title, "Severity|Code|Where|What", list(map(_finding_row, found)))
              for title, found in _findings(comparison)]  # fmt: skip
    tables.insert(1, ("Better or worse", "Turn|Code|Where|How|What", list(map(_changed_row, comparison.changed))))
    tables.append(("Stages and gates", "Name|Old|New|Turn|Evidence", list(map(_status_row, comparison.statuses))))
    tables.append(("Figures", "Figure|Old|New|Turn|Note", list(map(_figure_row, comparison.figures))))
    for title, head, rows in tables:
        if rows:
            parts += [f"## {title}", str(write(table(head, rows)))]
    if comparison.notes:
        parts += ["## What differs besides the code", "\n".join(f"- {prose(note)}" for note in comparison.notes)]
    return "\n\n".join(parts) + "\n"


def _finding_row(one: SavedFinding) -> tuple[Cell, ...]:
    return one.severity.name, code(one.rule, cell=True), _place(one), one.message


def _changed_row(item: ChangedFinding) -> tuple[Cell, ...]:
    return item.turn.value, code(item.new.rule, cell=True), _place(item.new), item.why, item.new.message


def _status_row(item: ChangedStatus) -> tuple[Cell, ...]:
    return code(item.name, cell=True), item.old or "not there", item.new or "not there", item.turn.value, item.evidence


def _figure_row(item: ComparedFigure) -> tuple[Cell, ...]:
    return code(item.name, cell=True), *_numbers(item), item.turn.value, item.note


def _headline(comparison: Comparison, write_text: Write) -> str:
    old, new = comparison.old, comparison.new
    return f"{write_text(new.task)}: {old.verdict} {old.score}/100 became {new.verdict} {new.score}/100"


def _closing(comparison: Comparison) -> str:
    worse = sum(item.turn is Turn.WORSE for item in comparison.changed)
    counts = [
        f"{len(comparison.added)} new",
        f"{len(comparison.fixed)} fixed",
        f"{worse} worse",
        f"{sum(item.turn is Turn.BETTER for item in comparison.changed)} better",
        f"{comparison.unchanged} unchanged",
    ]
    counts += [f"{len(comparison.silenced)} silenced"] if comparison.silenced else []
    counts += [f"{len(comparison.undecided)} undecided"] if comparison.undecided else []
    blocks = "Something blocks that did not before" if comparison.blocks else "Nothing blocks that did not before"
    return f"{blocks}. Findings: {', '.join(counts)}."


def _findings(comparison: Comparison) -> Sequence[tuple[str, Sequence[SavedFinding]]]:
    return (
        ("New", comparison.added),
        ("Fixed", comparison.fixed),
        ("Silenced by a comment or the baseline", comparison.silenced),
        ("Undecided: their stage did not come to an end", comparison.undecided),
    )


def _sections(comparison: Comparison) -> list[tuple[str, list[str]]]:
    sections = [(title, [_finding(one) for one in found]) for title, found in _findings(comparison)]
    sections.insert(1, ("Better or worse", [_changed(item) for item in comparison.changed]))
    sections.append(("Stages and gates", [_status(item) for item in comparison.statuses]))
    moved = [item for item in comparison.figures if item.turn is not Turn.SAME]
    sections.append(("Figures", [_figure(item) for item in moved]))
    same = len(comparison.figures) - len(moved)
    if same:
        sections.append(("Figures within their noise", [f"{same} of {plural(len(comparison.figures), 'figure')}"]))
    sections.append(("What differs besides the code", list(comparison.notes)))
    return [(title, rows) for title, rows in sections if rows]


def _finding(one: SavedFinding) -> str:
    blocks = ", blocks" if one.blocking else ""
    return f"{one.path}:{one.line}: {one.rule} [{one.severity.name}{blocks}] {one.message}"


def _changed(item: ChangedFinding) -> str:
    return f"{item.turn.value}: {item.why}: {_finding(item.new)}"


def _status(item: ChangedStatus) -> str:
    behind = f": {item.evidence}" if item.evidence else ""
    return f"{item.name} {item.old or '(not there)'} -> {item.new or '(not there)'}{behind}"


def _figure(item: ComparedFigure) -> str:
    old, new = _numbers(item)
    return f"{item.turn.value}: {item.name} {old} -> {new}{f' ({item.note})' if item.note else ''}"


def _numbers(item: ComparedFigure) -> tuple[str, str]:
    unit = f" {item.unit}" if item.unit else ""
    return (
        f"{figure(item.old)}{unit} [{figure(item.old_interval[0])}, {figure(item.old_interval[1])}]",
        f"{figure(item.new)}{unit} [{figure(item.new_interval[0])}, {figure(item.new_interval[1])}]",
    )


def _place(one: SavedFinding) -> Markup:
    return code(f"{one.path}:{one.line}", cell=True)
