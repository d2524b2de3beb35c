"""Decides how a place in a notebook is told: by its cell and the line in it, beside the line of the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from verifier.model.finding import Evidence
from verifier.notebooks.file import NotebookFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.model.finding import Finding, Json, Location
    from verifier.notebooks.model import Cell
    from verifier.sources import SourceTree


def with_cells(findings: Iterable[Finding], sources: SourceTree) -> tuple[Finding, ...]:
    """Return the findings; those in notebooks say in which cell, and so do the places related to them."""
    return tuple(_told(finding, sources) for finding in findings)


def cell_of(place: Location, sources: SourceTree) -> Cell | None:
    """Return the code cell in which a place stands."""
    file = sources.get(place.path)
    return file.notebook.cell_at(place.line) if isinstance(file, NotebookFile) and file.notebook else None


def _told(finding: Finding, sources: SourceTree) -> Finding:
    related = finding.related
    if any(other.location.path.endswith(".ipynb") for other in related):
        related = tuple(
            replace(other, message=f"{other.message} ({_words(cell, other.location)})")
            if (cell := cell_of(other.location, sources)) is not None
            else other
            for other in related
        )
    cell = cell_of(finding.location, sources) if finding.location.path.endswith(".ipynb") else None
    if cell is None:
        return finding if related is finding.related else replace(finding, related=related)
    words = _words(cell, finding.location)
    data: dict[str, Json] = {"cell": cell.number, "cell_line": finding.location.line - cell.line + 1}
    if cell.id is not None:
        data["cell_id"] = cell.id
    named = f" ({cell.id})" if cell.id is not None else ""
    evidence = Evidence(
        kind="source",
        summary=f"line {finding.location.line} of {finding.location.path} is line {data['cell_line']} of code cell"
        f" {cell.number}{named}",
        data=data,
    )
    return replace(
        finding,
        message=f"{words[0].upper()}{words[1:]}: {finding.message}",
        related=related,
        evidence=(*finding.evidence, evidence),
    )


def _words(cell: Cell, place: Location) -> str:
    return f"cell {cell.number}, line {place.line - cell.line + 1}"
