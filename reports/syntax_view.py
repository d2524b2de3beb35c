"""Decides what the page of stage 1 shows of the facts it established."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.dependency_view import dependency_problems
from reports.escape import code, prose
from reports.facts import Row, rows, section, text, texts, whole
from reports.figures import listed, plural, sentence
from reports.inventory_view import (
    FACT_ROWS,
    amp_lines,
    amp_matrix,
    amp_switch,
    signature_table,
    test_table,
    tests_note,
)
from reports.mermaid import GRAPH_LIMIT, Edge
from reports.quality_view import config_table, conventions_line, conventions_table, lint_line, lint_table
from reports.table import Table, table

if TYPE_CHECKING:
    from verifier.api import Json

_CYCLE_LIMIT = 10
_IMPORT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Cycle:
    """An import cycle, ready for display."""

    kind: str
    name: str
    modules: tuple[str, ...]  # to draw; none where they are too many
    risk: str
    fails_from: str
    drawing: str
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class SyntaxView:
    """The detail sections of stage 1; an empty one is left out."""

    compilation: str
    compile_problems: Table
    cycles: tuple[Cycle, ...]
    more_cycles: int
    graph_modules: tuple[str, ...]
    graph_edges: tuple[Edge, ...]
    graph_note: str
    dependencies: str
    dependency_problems: Table
    unresolved: Table
    resolved: Table
    imports: Table
    amp_matrix: Table
    amp_lines: Table
    amp_switch: Table
    tests: Table
    tests_note: str
    signatures: Table
    lint: str
    lint_rules: Table
    conventions: str
    convention_rows: Table
    config_files: Table
    counts: str


def syntax_view(facts: Row) -> SyntaxView:
    graph = section(facts, "import_graph")
    edges = _edges(rows(graph, "edges"), lines=False)
    cycles = rows(facts, "cycles")
    modules, note = _graph(texts(graph, "modules"), edges, cycles)
    dependencies = rows(facts, "dependencies")
    unresolved = [row for row in dependencies if row.get("resolved") is not True]
    resolved = [row for row in dependencies if row.get("resolved") is True]
    points = rows(facts, "amp_points")
    tests = rows(facts, "tests")
    return SyntaxView(
        compilation=_compilation(section(facts, "counts"), rows(facts, "compilation")),
        compile_problems=_compile_problems(rows(facts, "compilation")),
        cycles=tuple(_cycle(row, rows(graph, "edges")) for row in cycles[:_CYCLE_LIMIT]),
        more_cycles=max(0, len(cycles) - _CYCLE_LIMIT),
        graph_modules=modules,
        graph_edges=tuple(edges) if modules else (),
        graph_note=note,
        dependencies=_dependencies(resolved, unresolved),
        dependency_problems=dependency_problems(rows(facts, "dependency_problems")),
        unresolved=_unresolved(unresolved),
        resolved=_resolved(resolved),
        imports=_imports(rows(facts, "imports")),
        amp_matrix=amp_matrix(points),
        amp_lines=amp_lines(points),
        amp_switch=amp_switch(rows(facts, "amp_switch")),
        tests=test_table(tests),
        tests_note=tests_note(tests),
        signatures=signature_table(rows(facts, "signatures")),
        lint=lint_line(section(facts, "lint")),
        lint_rules=lint_table(section(facts, "lint")),
        conventions=conventions_line(rows(facts, "conventions")),
        convention_rows=conventions_table(rows(facts, "conventions")),
        config_files=config_table(rows(facts, "config_files")),
        counts=_counts(section(facts, "counts")) if not rows(facts, "imports") else "",
    )


def _compilation(counts: Row, files: list[Row]) -> str:
    """Say how many files compile; the counts know all files, the table of a large tree only the troubled ones."""
    if not files and "compiled" not in counts:
        return ""
    total = whole(counts, "files") if "files" in counts else len(files)
    good = whole(counts, "compiled") if "compiled" in counts else sum(not whole(row, "errors") for row in files)
    lines = whole(counts, "lines") if "lines" in counts else sum(whole(row, "lines") for row in files)
    warnings = sum(whole(row, "warnings") for row in files)
    outcome = f"{good:,} of {plural(total, 'file')} compiled, {lines:,} lines"
    return f"{outcome}; {plural(warnings, 'warning')}." if len(files) == total else f"{outcome}."


def _compile_problems(files: list[Row]) -> Table:
    troubled = [row for row in files if whole(row, "errors") or whole(row, "warnings")]
    return table(
        "File|Lines|Status|Errors|Warnings",
        (
            (
                code(text(row, "path"), cell=True),
                whole(row, "lines"),
                text(row, "status"),
                whole(row, "errors"),
                whole(row, "warnings"),
            )
            for row in troubled
        ),
        right="Lines|Errors|Warnings",
    )


def _edges(imports: list[Row], *, lines: bool) -> list[Edge]:
    return [
        (text(row, "from"), text(row, "to"), text(row, "kind"), whole(row, "line") if lines else 0) for row in imports
    ]


def _cycle(row: Row, graph: list[Row]) -> Cycle:
    modules = texts(row, "modules")
    inside = [edge for edge in graph if text(edge, "from") in modules and text(edge, "to") in modules]
    edges = _edges(rows(row, "imports") or inside, lines=True)
    drawn = tuple(dict.fromkeys(name for edge in edges for name in edge[:2]))
    return Cycle(
        kind=text(row, "kind"),
        name=listed((f"`{module}`" for module in modules), 4),
        modules=drawn if len(drawn) <= GRAPH_LIMIT else (),
        risk=sentence(text(row, "risk")),
        fails_from=listed((f"`{module}`" for module in texts(row, "fails_from")), 12),
        drawing=text(row, "text"),
        edges=tuple(edges),
    )


def _graph(modules: list[str], edges: list[Edge], cycles: list[Row]) -> tuple[tuple[str, ...], str]:
    """Return the modules to draw: those joined by an import; none of a large tree or of a cycle drawn already."""
    if len(modules) > GRAPH_LIMIT:
        return (
            (),
            f"Import graph: {len(modules):,} modules, {plural(len(edges), 'import')} between them: too many to draw.",
        )
    joined = {name for edge in edges for name in edge[:2]}
    drawn = any(joined == set(texts(cycle, "modules")) for cycle in cycles[:_CYCLE_LIMIT])
    return () if drawn else tuple(module for module in modules if module in joined), ""


def _dependencies(resolved: list[Row], unresolved: list[Row]) -> str:
    if not resolved and not unresolved:
        return ""
    groups: dict[str, int] = defaultdict(int)
    for row in resolved:
        groups[text(row, "group", "other")] += 1
    known = ", ".join(f"{count} {group}" for group, count in sorted(groups.items())) or "none"
    lacking = f"{len(unresolved)} not resolved" if unresolved else "none unresolved"
    return f"Modules resolved: {known}; {lacking}."


def _unresolved(entries: list[Row]) -> Table:
    return table(
        "Module|Group|Declared by the project|Imported by",
        ((*_module(row), _yes(row.get("declared")), listed(texts(row, "imported_by"), 4)) for row in entries),
    )


def _resolved(entries: list[Row]) -> Table:
    return table("Module|Group|Imported by", ((*_module(row), listed(texts(row, "imported_by"), 4)) for row in entries))


def _module(row: Row) -> tuple[Markup, str]:
    return code(text(row, "module"), cell=True), text(row, "group")


def _yes(value: Json) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else "unknown"


def _imports(entries: list[Row]) -> Table:
    """Return one row a file: every module it imports with its line, and how where that is not plainly on loading."""
    files: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in entries:
        group = text(row, "group")
        column = group if group in ("project", "third-party") else "standard library"
        files[text(row, "path")][column].append(_import(row))
    return table(
        "File|Project|Third-party|Standard library",
        (
            (
                code(path, cell=True),
                *(
                    Markup(listed(groups[column], _IMPORT_LIMIT))
                    for column in ("project", "third-party", "standard library")
                ),
            )
            for path, groups in files.items()
        ),
        limit=FACT_ROWS,
    )


def _import(row: Row) -> str:
    notes = [text(row, "kind")] if text(row, "kind") != "eager" else []
    notes += ["unresolved"] if row.get("resolved") is False else []
    note = f" ({prose(', '.join(notes), cell=True)})" if any(notes) else ""
    return f"{code(text(row, 'module'), cell=True)} {whole(row, 'line')}{note}"


def _counts(counts: Row) -> str:
    """Write the counts of a tree too large for tables, but for those that compilation has told already."""
    other = {key: value for key, value in counts.items() if key not in ("files", "lines", "compiled")}
    told = (f"{key.replace('_', ' ')}: {value:,}" for key, value in other.items() if isinstance(value, int))
    return sentence("; ".join(told))
