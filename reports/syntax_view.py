"""Decides what the page of stage 1 shows of the facts it established."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.escape import code, prose
from reports.facts import Row, rows, section, text, texts, whole
from reports.figures import listed, plural
from reports.mermaid import GRAPH_LIMIT
from reports.table import Cell, Table, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import Json

_PROTOCOL = ("scaler", "autocast", "scale", "backward", "unscale", "clip", "step", "update")
_CYCLE_LIMIT = 10
_FACT_ROWS = 200

Edge = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Cycle:
    """An import cycle, ready for display."""

    kind: str
    modules: tuple[str, ...]
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
    unresolved: Table
    resolved: Table
    imports: Table
    amp_matrix: Table
    amp_lines: Table
    amp_switch: Table
    tests: Table
    tests_note: str
    misnamed: Table
    signatures: Table
    counts: str


def syntax_view(facts: Row) -> SyntaxView:
    graph = section(facts, "import_graph")
    edges = _edges(graph)
    cycles = rows(facts, "cycles")
    modules, note = _graph(texts(graph, "modules"), edges, cycles)
    dependencies = rows(facts, "dependencies")
    unresolved = [row for row in dependencies if row.get("resolved") is not True]
    resolved = [row for row in dependencies if row.get("resolved") is True]
    points = rows(facts, "amp_points")
    tests = rows(facts, "tests")
    return SyntaxView(
        compilation=_compilation(rows(facts, "compilation")),
        compile_problems=_compile_problems(rows(facts, "compilation")),
        cycles=tuple(_cycle(row, edges) for row in cycles[:_CYCLE_LIMIT]),
        more_cycles=max(0, len(cycles) - _CYCLE_LIMIT),
        graph_modules=modules,
        graph_edges=tuple(edges) if modules else (),
        graph_note=note,
        dependencies=_dependencies(resolved, unresolved),
        unresolved=_dependency_table(unresolved),
        resolved=_dependency_table(resolved),
        imports=_imports(rows(facts, "imports")),
        amp_matrix=_amp_matrix(points),
        amp_lines=_amp_lines(points),
        amp_switch=_amp_switch(rows(facts, "amp_switch")),
        tests=_tests(tests),
        tests_note=_tests_note(tests),
        misnamed=_misnamed(rows(facts, "misnamed_tests")),
        signatures=_signatures(rows(facts, "signatures")),
        counts=_counts(section(facts, "counts")) if not rows(facts, "compilation") else "",
    )


def _where(row: Row, line: str = "line") -> Markup:
    return code(f"{text(row, 'path')}:{whole(row, line)}", cell=True)


def _span(value: str) -> Cell:
    return code(value, cell=True) if value else ""


def _compilation(files: list[Row]) -> str:
    if not files:
        return ""
    broken = sum(whole(row, "errors") > 0 for row in files)
    warnings = sum(whole(row, "warnings") for row in files)
    lines = sum(whole(row, "lines") for row in files)
    outcome = f"{len(files) - broken:,} of {plural(len(files), 'file')} compiled, {lines:,} lines"
    return f"{outcome}; {plural(warnings, 'warning') if warnings else 'no warnings'}."


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


def _edges(graph: Row) -> list[Edge]:
    return [(text(row, "from"), text(row, "to"), text(row, "kind")) for row in rows(graph, "edges")]


def _cycle(row: Row, edges: list[Edge]) -> Cycle:
    modules = tuple(texts(row, "modules"))
    inside = set(modules)
    known = tuple(edge for edge in edges if edge[0] in inside and edge[1] in inside)
    around = zip(modules, (*modules[1:], *modules[:1]), strict=True)
    return Cycle(
        kind=text(row, "kind"),
        modules=modules,
        risk=text(row, "risk"),
        fails_from=listed((f"`{module}`" for module in texts(row, "fails_from")), 12),
        drawing=text(row, "text"),
        edges=known or tuple((start, end, "") for start, end in around),
    )


def _graph(modules: list[str], edges: list[Edge], cycles: list[Row]) -> tuple[tuple[str, ...], str]:
    """Return the modules to draw: those joined by an import; none of a large tree or of a cycle drawn already."""
    if len(modules) > GRAPH_LIMIT:
        return (), f"{len(modules):,} modules, {plural(len(edges), 'import')} between them: too many to draw."
    joined = {name for start, end, _ in edges for name in (start, end)}
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


def _dependency_table(entries: Iterable[Row]) -> Table:
    return table(
        "Module|Group|Resolved|Declared|Imported by",
        (
            (
                code(text(row, "module"), cell=True),
                text(row, "group"),
                _yes(row.get("resolved")),
                _yes(row.get("declared")),
                listed(texts(row, "imported_by"), 4),
            )
            for row in entries
        ),
    )


def _yes(value: Json) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else "unknown"


def _imports(entries: list[Row]) -> Table:
    return table(
        "Where|Import|Group|Kind|Resolved",
        (
            (
                _where(row),
                _span(text(row, "statement") or text(row, "module")),
                text(row, "group"),
                text(row, "kind"),
                _yes(row.get("resolved")),
            )
            for row in entries
        ),
        limit=_FACT_ROWS,
    )


def _amp_matrix(points: list[Row]) -> Table:
    """Return one row a function and one column a step of the protocol, in protocol order."""
    lines: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in points:
        lines[text(row, "path"), text(row, "function")][text(row, "what")].append(whole(row, "line"))
    seen = {what for by_what in lines.values() for what in by_what if what}
    used = [*(what for what in _PROTOCOL if what in seen), *sorted(seen.difference(_PROTOCOL))]
    return table(
        "|".join(["Function", *(what.replace("|", "") for what in used)]),
        (
            (
                Markup(f"{code(function or 'module level', cell=True)} in {code(path, cell=True)}"),
                *(listed(map(str, sorted(set(by_what[what]))), 8) for what in used),
            )
            for (path, function), by_what in lines.items()
        ),
    )


def _amp_lines(points: list[Row]) -> Table:
    return table(
        "Where|What|Code",
        ((_where(row), text(row, "what"), _span(text(row, "code").strip())) for row in points),
        limit=_FACT_ROWS,
    )


def _amp_switch(entries: list[Row]) -> Table:
    return table(
        "Function|Parameter|Default|Used at|Passed on to",
        (
            (
                Markup(f"{code(text(row, 'function'), cell=True)} in {_where(row)}"),
                _span(text(row, "parameter")),
                _span("" if row.get("default") is None else str(row.get("default"))),
                listed(f"{whole(use, 'line')} ({text(use, 'how')})" for use in rows(row, "uses")),
                prose(
                    listed(f"`{text(to, 'function')}` at {whole(to, 'line')}" for to in rows(row, "passed_to")),
                    cell=True,
                ),
            )
            for row in entries
        ),
    )


def _tests(tests: list[Row]) -> Table:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in tests:
        groups[text(row, "path"), text(row, "class")].append(row)
    return table(
        "File|Class|Tests|Cases|Skipped where",
        (
            (
                code(path, cell=True),
                _span(name),
                len(members),
                sum(_cases(row) for row in members),
                listed(dict.fromkeys(text(row, "skip") for row in members if text(row, "skip")), 3),
            )
            for (path, name), members in groups.items()
        ),
        right="Tests|Cases",
    )


def _cases(row: Row) -> int:
    return whole(row, "parameters") or 1


def _tests_note(tests: list[Row]) -> str:
    if not tests:
        return ""
    classes = {(text(row, "path"), text(row, "class")) for row in tests if text(row, "class")}
    skips = sum(bool(text(row, "skip")) for row in tests)
    within = f" in {plural(len(classes), 'class')}" if classes else ""
    conditional = f"; {plural(skips, 'test')} under a skip condition" if skips else ""
    return (
        f"{plural(len(tests), 'test')}{within}, {plural(sum(map(_cases, tests)), 'case')} by parameters{conditional}."
    )


def _misnamed(entries: list[Row]) -> Table:
    return table(
        "Where|Named like a test|What follows",
        ((_where(row), _span(text(row, "name")), text(row, "note")) for row in entries),
    )


def _signatures(entries: list[Row]) -> Table:
    return table(
        "Where|Signature|Keys of the returned dictionary",
        (
            (
                _where(row),
                _span(_signature(row)),
                prose(listed((f"`{key}`" for key in texts(row, "returned_keys")), 12), cell=True),
            )
            for row in entries
        ),
        limit=_FACT_ROWS,
    )


def _signature(row: Row) -> str:
    name, signature, returns = text(row, "name"), text(row, "signature"), text(row, "returns")
    whole_text = signature if signature.startswith(name) and name else f"{name}{signature}"
    return whole_text if not returns or "->" in whole_text else f"{whole_text} -> {returns}"


def _counts(counts: Row) -> str:
    shown = [f"{key.replace('_', ' ')}: {value:,}" for key, value in counts.items() if isinstance(value, int)]
    return "; ".join(shown)
