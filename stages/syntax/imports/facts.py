"""Decides which import facts a report keeps: the table of every import, and the graph's edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages.syntax.imports.cycles import Project
    from stages.syntax.imports.judge import Imports
    from stages.syntax.imports.statements import ImportRecord
    from verifier.api import Json


def import_table(imports: Imports, selected: Sequence[str], counts: Mapping[str, int]) -> dict[str, Json]:
    """Return every import of the selected files, by file, with what decides whether it runs and where it leads."""
    files: dict[str, Json] = {}
    for path in selected:
        rows: list[Json] = [_row(imports, path, record) for record in imports.records_of(path)]
        if rows:
            files[path] = rows
    return {"counts": dict(counts), "files": files}


def _row(imports: Imports, path: str, record: ImportRecord) -> dict[str, Json]:
    place = imports.locator.locate(imports.layout.absolute(path), record.module, record.level)
    file = imports.layout.relative(place.found.file) if place.found and place.found.file else None
    return {
        "line": record.line,
        "column": record.column,
        "statement": record.statement,
        "module": place.name,
        "names": None if record.names is None else [name for name, _ in record.names],
        "bound": _bound(record),
        "kind": record.kind,
        "group": place.group,
        "scope": record.scope,
        "file": file,
        "resolved": place.problem is None,
    }


def _bound(record: ImportRecord) -> list[Json]:
    if record.names is not None:
        return [bound for _, bound in record.names]
    return [record.alias or record.module.partition(".")[0]]


def graph_facts(imports: Imports, project: Project, selected: Sequence[str], *, full: bool) -> dict[str, Json]:
    """Return modules and edges among project files; a large tree keeps only how many there are."""
    chosen = frozenset(selected)
    explicit = [edge for edge in project.edges if edge.source in chosen and not edge.implied and edge.kind != "access"]
    facts: dict[str, Json] = {"modules": len(chosen), "edge_count": len(explicit)}
    if not full:
        return facts
    edges: list[Json] = []
    for edge in explicit:
        kind: str = edge.kind
        if kind == "eager":
            kinds = {record.kind for record in imports.records_of(edge.source) if record.line == edge.line}
            kind = next((name for name in ("type-only", "guarded") if name in kinds), kind)
        edges.append(
            {
                "from": project.names.of(edge.source),
                "to": project.names.of(edge.target),
                "line": edge.line,
                "kind": kind,
            }
        )
    facts["edges"] = edges
    facts["names"] = {path: project.names.of(path) for path in selected}
    return facts
