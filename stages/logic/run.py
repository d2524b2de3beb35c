"""One run of stage 2: read what can touch AMP, follow it, let every rule look, and say what was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.compiling import collector_paused
from stages._source.depth import deep
from stages._source.discovery import rules_in
from stages._source.parsing import parse
from stages._source.program.kinds import Kinds
from stages._source.program.project import Project
from stages.logic import rules
from stages.logic.engine.engine import Engine
from stages.logic.findings import finding_of, findings_of
from stages.logic.gates import logic_gates
from stages.logic.starts import AMP_TEXT, walk_all
from stages.logic.view import View
from stages.logic.watch import watchers
from verifier.api import StageOutcome, rest_of_project

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from stages._source.program.project import Module
    from verifier.api import Finding, Json, SourceFile, StageContext


def run_logic(context: StageContext) -> StageOutcome:
    """Look for AMP misuse in every Python file of the task that parses. Executes nothing of it."""
    with deep(), collector_paused():
        return _judge(context)


def _judge(context: StageContext) -> StageOutcome:
    files = [file for file in context.sources.python() if not file.path.endswith(".pyi")]
    others = [file for file in rest_of_project(context.config, context.sources) if not file.path.endswith(".pyi")]
    project = _project([*files, *others])
    speaking = [file for file in files if file.data is not None and AMP_TEXT.search(file.data)]
    context.progress(f"reading {len(speaking)} files that speak of AMP")
    modules = [module for file in speaking if (module := project.module(file.path)) is not None]
    unread = [file.path for file in speaking if project.module(file.path) is None]
    watching = watchers()
    engine = Engine(project, watching.checks)
    context.progress("following paths")
    walk_all(engine, modules)
    known = {rule.code: rule for rule in rules_in(rules)}
    own = {module.path for module in modules}
    found: list[Finding] = [item for item in findings_of(known, engine.visits) if item.location.path in own]
    kinds = Kinds(project)
    for module in modules:
        view = View(project, module, kinds)
        for code, inspect in watching.inspections:
            found += [finding_of(known[code], problem) for problem in inspect(view)]
    return StageOutcome(
        checks_run=len(files) * len(watching.inspections) + sum(len(seen) for seen in engine.visits.values()) + 1,
        findings=tuple(sorted(found, key=lambda item: (item.location, item.rule))),
        gates=logic_gates(modules, engine, unread),
        facts=_facts(files, modules, engine, unread),
    )


def _project(files: Sequence[SourceFile]) -> Project:
    by_path = {file.path: file for file in files}

    def read(path: str) -> tuple[ast.Module, Sequence[str]] | None:
        tree = parse(by_path[path])
        return None if tree is None else (tree, by_path[path].text_lines)

    return Project(by_path, read)


def _facts(
    files: Sequence[SourceFile], modules: Sequence[Module], engine: Engine, unread: Sequence[str]
) -> dict[str, Json]:
    return {
        "counts": {
            "files": len(files),
            "files that speak of AMP": len(modules),
            "functions walked": len(engine.walked),
        },
        "not_read": list(unread),
        "not_finished": sorted(f"{scope.module}.{scope.qualname}" for scope in engine.unfinished),
    }
