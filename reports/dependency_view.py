"""Decides how requirements are told that an installation lacks, or that nothing in the project names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.escape import code, prose
from reports.facts import Row, text, texts
from reports.figures import listed
from reports.table import Table, table

if TYPE_CHECKING:
    from markupsafe import Markup

_ROWS = 20
_PLACES = 3


def dependency_problems(entries: list[Row]) -> Table:
    """Return one row for each requirement; those without which a package cannot be imported come first."""
    return table(
        "Distribution|Declared in|What is wrong",
        ((code(text(row, "distribution"), cell=True), prose(_where(row), cell=True), _wrong(row)) for row in entries),
        limit=_ROWS,
    )


def _where(row: Row) -> str:
    return ", ".join(filter(None, (text(row, "declared_in"), text(row, "group"))))


def _wrong(row: Row) -> Markup:
    if text(row, "problem") == "unused":
        return prose(f"every installation gets it, and nothing here names it{_modules(row)}", cell=True)
    places = listed(texts(row, "imported_by"), _PLACES)
    package = text(row, "package") or "the package"
    return prose(f"importing {package} fails where only its plain dependencies are installed: {places}", cell=True)


def _modules(row: Row) -> str:
    """Return the modules that were looked for under another name than the distribution's."""
    own = text(row, "distribution").replace("-", "_")
    others = [name for name in texts(row, "modules") if name.lower() != own]
    return f" or {listed(others, _PLACES)}" if others else ""
