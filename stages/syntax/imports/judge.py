"""Decides everything stage 1 says about imports: what resolves, what the graph is, and which cycles fail."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.cell_installs import installed_by
from stages._source.dependencies import Dependencies
from stages._source.testfiles import is_test_file
from stages.syntax.imports.built import BuiltModules
from stages.syntax.imports.conditions import Conditions
from stages.syntax.imports.cycle_findings import cycle_facts, cycle_finding
from stages.syntax.imports.cycles import (
    Cycle,
    Project,
    Stage,
    all_entries,
    failing_cycles,
    fragile_cycles,
    lazy_cycles,
    precise_edges,
    tied_entries,
)
from stages.syntax.imports.exports import Exports
from stages.syntax.imports.facts import graph_facts, import_table
from stages.syntax.imports.git_submodules import GitSubmodules
from stages.syntax.imports.graph import FileImports, Grapher
from stages.syntax.imports.layout import Layout
from stages.syntax.imports.laziness import Laziness
from stages.syntax.imports.names import ModuleNames
from stages.syntax.imports.passages import Passages
from stages.syntax.imports.places import Locator
from stages.syntax.imports.shadowed import shadowing_modules
from stages.syntax.imports.statements import import_records
from stages.syntax.imports.unresolved import Knowledge, Unresolved
from verifier.api import NotebookFile, SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    from stages._source.environment import Environment
    from stages._source.records import FileScan
    from stages.syntax.imports.statements import ImportRecord
    from verifier.api import Finding, Json, SourceTree

ScanMore = Callable[[], tuple[Sequence[SourceFile], Mapping[str, "FileScan"]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportsRequest:
    """What is asked.

    Args:
        source_roots: as configured, relative to the root.
        files: the selected files; `scans` holds the fast facts of those that are Python.
        parse: a file's syntax tree, or None where it cannot be parsed; asked for suspects only.
        scan_more: every other Python file of the project with its facts, for cycles that fail.
        want_full_facts: keep the whole import table and graph, not only counts and cycles.
    """

    root: Path
    source_roots: tuple[str, ...]
    files: SourceTree
    scans: Mapping[str, FileScan]
    parse: Callable[[SourceFile], ast.Module | None]
    environment: Environment
    is_test: Callable[[str], bool] = is_test_file
    scan_more: ScanMore | None = None
    want_full_facts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportsOutcome:
    """What was found. `checks` counts imports and imported names that were resolved."""

    findings: tuple[Finding, ...]
    facts: Mapping[str, Json]
    checks: int
    cycles: tuple[Cycle, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


class Imports:
    """The imports of one project: shared by the judgement and by the names engine, which asks about star imports."""

    def __init__(self, request: ImportsRequest) -> None:
        facts = request.environment.facts
        self.request = request
        self.scans: dict[str, FileScan] = {
            path: scan for path, scan in sorted(request.scans.items()) if not path.endswith(".pyi")
        }
        self._files: dict[str, SourceFile] = {file.path: file for file in request.files}
        self._trees: dict[str, ast.Module | None] = {}
        self._records: dict[str, tuple[ImportRecord, ...]] = {}
        self._passages: dict[str, Passages] = {}
        self.conditions = Conditions(version=facts.version, platform=facts.platform, os_name=facts.os_name)
        self.layout = Layout(request.root, request.source_roots)
        self.dependencies = Dependencies(request.root)
        self.locator = Locator(self.layout, request.environment, self._files, self.scans, self.dependencies)
        self.exports = Exports(self.locator, self.tree_of)
        self.grapher = Grapher(self.locator, self.exports)
        self._followed: dict[str, FileImports] = {}

    def star_names(self, path: str) -> frozenset[str] | None:
        """Return the names that all star imports of a file bring together; None where they cannot be known."""
        names = self.exports.from_stars(self.layout.absolute(path))
        return names.names if names.known else None

    def tree_of(self, file: str) -> ast.Module | None:
        """Return the syntax tree of a file by absolute path, inside the project or outside."""
        if file not in self._trees:
            path = self.layout.relative(file)
            source = self._files.get(path) if path is not None else None
            if source is None:
                source = SourceFile(path or file, self.request.root / (path or file), noted=True)
            self._trees[file] = self.request.parse(source) if source.data is not None else None
        return self._trees[file]

    def records_of(self, path: str) -> tuple[ImportRecord, ...]:
        """Return the precise import records of a project file."""
        if path not in self._records:
            tree = self.tree_of(self.layout.absolute(path))
            self._records[path] = import_records(tree, self.conditions) if tree is not None else ()
        return self._records[path]

    def records_near(self, path: str, line: int) -> tuple[ImportRecord, ...]:
        """Return precise records that include those of the given line, without reading the whole file if possible."""
        file = self.layout.absolute(path)
        if path in self._records or file in self._trees or self.request.want_full_facts:
            return self.records_of(path)
        if path not in self._passages:
            self._passages[path] = Passages(self.locator.bytes_of(file), self.conditions)
        near = self._passages[path].around(line)
        return self.records_of(path) if near is None else near

    def follow(self) -> dict[str, FileImports]:
        """Return what the imports of every scanned file lead to, and of every file they load in turn."""
        pending = [path for path in self.scans if path not in self._followed]
        while pending:
            path = pending.pop()
            if path in self._followed:
                continue
            self._followed[path] = self.grapher.follow(path, self.exports.scan(self.layout.absolute(path)))
            pending += sorted(
                {edge.target for edge in self._followed[path].edges if edge.kind in ("eager", "access")}
                - self._followed.keys()
            )
        return self._followed

    def add(self, files: Sequence[SourceFile], scans: Mapping[str, FileScan]) -> None:
        """Take further files of the project into the graph."""
        self._files |= {file.path: file for file in files}
        self.scans |= {path: scan for path, scan in scans.items() if not path.endswith(".pyi")}

    def project(self) -> Project:
        """Return the graph as it is now, with every file named."""
        followed = self.follow()
        return Project(
            edges=tuple(edge for path in sorted(followed) for edge in followed[path].edges),
            names=ModuleNames(self.layout, followed, self.locator.used_names()),
            locator=self.locator,
            exports=self.exports,
            conditions=self.conditions,
            tree_of=self.tree_of,
            records_of=self.records_of,
        )

    def installed_by(self, path: str) -> frozenset[str]:
        """Return the distributions that a file installs itself, which only a notebook does."""
        file = self._files.get(path)
        return installed_by(file.text_lines) if isinstance(file, NotebookFile) else frozenset()

    def texts(self) -> dict[str, bytes]:
        return {path: file.data or b"" for path, file in self._files.items() if path in self.scans}


def missing_imports(imports: Imports) -> Callable[[], tuple[Finding, ...]]:
    """Return what finds the imports of the files known so far that lead nowhere; it may be called in a copy of us."""
    followed = imports.follow()
    suspects = [item for path in imports.scans for item in followed[path].suspects]
    known = Knowledge(
        locator=imports.locator,
        exports=imports.exports,
        dependencies=imports.dependencies,
        built=BuiltModules(imports.layout),
        submodules=GitSubmodules(imports.request.root),
        records_near=imports.records_near,
        is_test=imports.request.is_test,
        texts=imports.texts(),
        installed_by=imports.installed_by,
    )
    return lambda: Unresolved(known).findings(suspects)


def judge_imports(
    request: ImportsRequest,
    imports: Imports | None = None,
    missing: Callable[[], tuple[Finding, ...]] | None = None,
) -> ImportsOutcome:
    """Judge all imports of the selected files.

    Args:
        imports: may be handed in to share what it has established.
        missing: what `missing_imports` found, asked for as late as possible.
    """
    imports = imports or Imports(request)
    selected = tuple(imports.scans)
    followed = imports.follow()
    project = imports.project()
    found = missing_imports(imports)() if missing is None else ()
    cycles, project, stage = _judge_cycles(imports, project)
    chosen = frozenset(selected)
    search = Laziness(project, stage, cycles)
    cycles = [search.with_proposal(cycle) for cycle in cycles if _concerns(cycle, chosen, project.names)]
    findings = list(missing() if missing is not None else found)
    findings += [cycle_finding(cycle, project.names.of) for cycle in cycles]
    named = {path: project.names.of(path) for path in selected}
    findings += shadowing_modules(imports.layout, request.environment.facts, imports.scans, named)
    counts = {
        "imports": sum(sum(followed[path].groups.values()) for path in selected),
        "standard library": sum(followed[path].groups.get("standard library", 0) for path in selected),
        "third-party": sum(followed[path].groups.get("third-party", 0) for path in selected),
        "project": sum(followed[path].groups.get("project", 0) for path in selected),
    }
    facts: dict[str, Json] = {"cycles": [cycle_facts(cycle, project.names.of) for cycle in cycles]}
    facts["imports"] = import_table(imports, selected, counts) if request.want_full_facts else {"counts": dict(counts)}
    facts["import_graph"] = graph_facts(imports, project, selected, full=request.want_full_facts)
    return ImportsOutcome(
        findings=tuple(sorted(findings, key=lambda finding: (finding.location, finding.rule, finding.message))),
        facts=facts,
        checks=sum(followed[path].checked for path in selected),
        cycles=tuple(cycles),
        counts=counts,
    )


def _judge_cycles(imports: Imports, project: Project) -> tuple[list[Cycle], Project, Stage]:
    """Judge the cycles; where one fails, again with every file of the project, so that all its victims are named."""
    edges = precise_edges(project)
    failures, stage = tied_entries(project, edges)
    failing: list[Cycle] = []
    if failures:
        if imports.request.scan_more is not None:
            imports.add(*imports.request.scan_more())
            project = imports.project()
            edges = precise_edges(project)
        victims, stage = all_entries(project, edges, failures)
        failing = failing_cycles(project, edges, stage.eager, victims)
    return [*failing, *fragile_cycles(edges, failing), *lazy_cycles(edges)], project, stage


def _concerns(cycle: Cycle, selected: frozenset[str], names: ModuleNames) -> bool:
    """Say whether a selected file is on the cycle, or fails because of it."""
    if not selected.isdisjoint(cycle.members):
        return True
    return not {names.of(path) for path in selected}.isdisjoint(cycle.fails_from)
