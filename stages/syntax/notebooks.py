"""Decides what is said of notebooks: cells that CPython refuses, files that are none, names that depend on cells."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stages._source.notebooks import GIVEN_NAMES, cell_at, cells_of
from stages.syntax.refused import ask_ruff, sorted_out
from stages.syntax.scan import problem_finding
from verifier.api import Evidence, Finding, Location, NotebookFile, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stages._source.notebooks import RefusedCell
    from stages.syntax.refused import Newer, Refused
    from verifier.api import Json, SourceFile, SourceTree, StageContext

_EXPECTED = "raises-exception"  # the tag by which a cell says that it fails on purpose
_IMPORTS = ("IMP001", "IMP002")
_NAMES = ("SCP001", "SCP002", "SCP003")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebooks:
    """The notebooks of a task: one row each, and a sentence for those that were not read."""

    rows: list[Json]
    limitations: list[str]


def judge_cells(context: StageContext, cells: Mapping[str, Sequence[RefusedCell]], refused: Refused) -> Refused:
    """Add the cells that CPython refuses; syntax that only the Python which wrote the notebook has is no error."""
    written = {path: _python(context.sources.get(path)) for path in cells}
    seen = ask_ruff(context, [path for path, minor in written.items() if minor > sys.version_info.minor])
    findings: list[Finding] = []
    needs = dict(refused.needs)
    for path, found in cells.items():
        for cell in found:
            index = cells_of(context.sources.get(path))[cell.number - 1].index
            hits = [hit for hit in seen.get(path, ()) if hit.cell - 1 == index]
            newer, broken = sorted_out(hits, cell.problem) if hits else ([], [])
            needed = max((place.minor for place in newer), default=0)
            if needed and not broken and needed <= written[path]:
                needs[path] = max(needs.get(path, 0), needed)
                findings.append(_newer(path, cell, newer[0], needed))
            else:
                findings.append(_broken(path, cell))
    return replace(refused, needs=needs, cells=cells, cell_findings=tuple(findings))


def _python(file: SourceFile | None) -> int:
    notebook = file.notebook if isinstance(file, NotebookFile) else None
    return (notebook.python or 0) if notebook is not None else 0


def _broken(path: str, cell: RefusedCell) -> Finding:
    return replace(
        problem_finding(path, cell.problem),
        why="Python compiles a whole cell before it runs any of it.",
        impact="Nothing in this cell runs, and what it should bind is missing in the cells below.",
    )


def _newer(path: str, cell: RefusedCell, place: Newer, minor: int) -> Finding:
    running = f"3.{sys.version_info.minor}"
    return Finding(
        rule="SYN005",
        severity=Severity.INFO,
        message=f"Python 3.{minor} is needed for {place.what}; the running Python {running} cannot read this cell, so"
        " nothing in it was checked",
        location=Location(path=path, line=cell.problem.line, column=cell.problem.column),
        evidence=(
            Evidence(
                kind="command",
                summary=f"ruff finds nothing else in the cell, and a Python newer than {running} wrote the notebook",
                data={"python": f"3.{minor}", "refusal": cell.problem.message},
            ),
        ),
        remediation=f"Run verify under Python 3.{minor} or newer.",
    )


def judged_by_cell(findings: Iterable[Finding], sources: SourceTree) -> list[Finding]:
    """Return the findings as they hold where code runs cell by cell; those of other files are left as they are."""
    kept = []
    for finding in findings:
        file = sources.get(finding.location.path) if finding.location.path.endswith(".ipynb") else None
        if not isinstance(file, NotebookFile):
            kept.append(finding)
        elif file.notebook is None:
            kept.append(_no_notebook(finding, file))
        elif finding.rule not in _NAMES or not (finding.symbol in GIVEN_NAMES or _is_asked_for(finding.symbol, file)):
            kept.append(_by_cell(finding, file))
    return kept


def notebook_facts(sources: SourceTree, refused: Mapping[str, Sequence[RefusedCell]]) -> Notebooks:
    rows: list[Json] = []
    said = []
    for file in sources:
        if isinstance(file, NotebookFile) and file.notebook is not None:
            foreign = file.notebook.foreign
            broken = [cell.number for cell in refused.get(file.path, ())]
            rows.append({"path": file.path, "cells": len(cells_of(file)), "refused_cells": broken, "skipped": foreign})
            if foreign:
                said.append(f"{file.path} was not read: the kernel of this notebook is for {foreign}")
    return Notebooks(rows=rows, limitations=said)


def _no_notebook(finding: Finding, file: NotebookFile) -> Finding:
    if file.refusal is None:
        return finding
    return replace(
        finding,
        message=f"Not a notebook: {file.refusal}",
        location=Location(path=file.path, line=file.refusal.line, column=file.refusal.column),
        why="Jupyter cannot open this file.",
        remediation="Restore it from the version before, or exclude it; a merge conflict leaves such files.",
    )


def _is_asked_for(name: str | None, file: NotebookFile) -> bool:
    """Return whether the notebook itself asks if a name is bound, as cells do that are meant to run twice."""
    pattern = re.compile(rb"""["']%s["'] (?:not )?in (?:locals|globals|vars|dir)\(""" % (name or "").encode())
    return pattern.search(file.data or b"") is not None


def _namesake(finding: Finding, file: NotebookFile) -> str:
    """Return the top-level package of a missing module, where it is a folder that nothing makes a package."""
    target = finding.evidence[0].data.get("target") if finding.evidence else None
    top = str(target or "").partition(".")[0]
    root = file.absolute.parents[file.path.count("/")]
    folder = root / top
    return top if top and folder.is_dir() and not (folder / "__init__.py").exists() else ""


def _may_be_brought(finding: Finding, file: NotebookFile) -> bool:
    """Return whether the notebook changes the folder that its imports begin with, or writes the module itself."""
    top = re.escape((finding.symbol or "").partition(".")[0])
    text = "\n".join(file.text_lines)
    return re.search(rf"^[ \t]*%?cd[ \t]+\S|\bos\.chdir\(|^%%(?:writefile|file)\b.*\b{top}\b", text, re.M) is not None


def _by_cell(finding: Finding, file: NotebookFile) -> Finding:
    cell = cell_at(file, finding.location.line)
    if cell is None:
        return finding
    if finding.rule == "IMP001" and finding.severity > Severity.LOW and (folder := _namesake(finding, file)):
        hint = f"a package {folder} may be installed where this runs, and only a folder is called so here"
        return replace(finding, severity=Severity.LOW, message=f"{finding.message}; {hint}")
    if finding.rule in _IMPORTS and finding.severity > Severity.LOW and _may_be_brought(finding, file):
        hint = "the notebook changes its folder or writes modules, so it may exist when this line runs"
        return replace(finding, severity=Severity.LOW, message=f"{finding.message}; {hint}")
    if _EXPECTED in cell.tags and finding.severity > Severity.INFO:
        impact = f"The cell is tagged `{_EXPECTED}`: it is meant to fail."
        return replace(finding, severity=Severity.INFO, impact=impact)
    if finding.rule in _NAMES and finding.impact.startswith("Importing this file"):
        finding = replace(finding, impact="Running this cell raises NameError.")
    if finding.rule != "SCP003" or finding.severity < Severity.CRITICAL:
        return finding
    others = sorted({found.number for place in finding.related if (found := cell_at(file, place.location.line))})
    if all(number == cell.number for number in others):
        return finding
    later = [number for number in others if number > cell.number]
    if not later:  # a cell above deletes it
        return replace(finding, severity=Severity.LOW)
    return replace(
        finding,
        severity=Severity.LOW,
        message=f"`{finding.symbol}` is not bound when the cells run from top to bottom: cell {later[0]} binds it",
        why="A kernel keeps what cells have bound in whatever order they ran, so this worked for its author.",
        impact="Run all cells in a fresh kernel, and this line raises NameError.",
        remediation=f"Move the cell that binds `{finding.symbol}` above this one.",
    )
