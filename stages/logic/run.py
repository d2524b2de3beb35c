"""One run of stage 2: read what can touch AMP, follow it, let every rule look, and say what was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.compiling import collector_paused
from stages._source.depth import deep
from stages._source.discovery import rules_in
from stages._source.program.kinds import Kinds
from stages._source.testfiles import is_test_file
from stages._source.versions import TorchVersions
from stages._source.workers import Beside
from stages.logic import rules
from stages.logic.doubts import Doubting, doubtful
from stages.logic.dtypes.judging import judged
from stages.logic.dtypes.program import read_dtypes
from stages.logic.engine.engine import Engine
from stages.logic.findings import finding_of, findings_of
from stages.logic.gates import logic_gates
from stages.logic.projects import project_of
from stages.logic.soundness import unsound
from stages.logic.starts import defined_names, walk_all
from stages.logic.texts import AMP_TEXT, STEPS_TEXT
from stages.logic.view import View
from stages.logic.watch import watchers
from verifier.api import StageOutcome, rest_of_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stages._source.program.project import Module, Project
    from stages.logic.engine.state import Happened
    from stages.logic.starts import Walked
    from stages.logic.watch import Watchers
    from verifier.api import Finding, Json, Location, RuleInfo, SourceFile, StageContext


_READABLE_FILES = 200  # a task of more files keeps only counts and what findings rest on, unless --facts
_SPREAD = 100  # files from which a second process pays for itself
_STEPS = 24  # shown of one path


def run_logic(context: StageContext) -> StageOutcome:
    """Look for AMP misuse in every Python file of the task that parses. Executes nothing of it."""
    with deep(), collector_paused():
        return _judge(context)


def _judge(context: StageContext) -> StageOutcome:
    files = [file for file in context.sources.python() if not file.path.endswith(".pyi")]
    others = [file for file in rest_of_project(context.config, context.sources) if not file.path.endswith(".pyi")]
    project = project_of([*files, *others])
    wanted = [file for file in files if AMP_TEXT.within(file.data)]
    context.progress(f"reading {len(wanted)} files that speak of AMP")
    speaking = [(file, module) for file in wanted if (module := project.module(file.path)) is not None]
    unread = [file.path for file in wanted if project.module(file.path) is None]
    modules = [module for _, module in speaking]
    watching = watchers()
    engine = Engine(project, watching.checks, defined_names([*files, *others]))
    known = {rule.code: rule for rule in rules_in(rules)}
    paths = {file.path for file in files}

    def read_alone() -> list[Finding]:
        found = _inspected(context, project, modules, watching, known)
        dtypes = read_dtypes(project.whole(), modules)
        found += judged(known, watching.judges, dtypes.project, dtypes.units)
        doubting = Doubting(files=files, others=others, root=context.config.root, dtypes=dtypes, found=found)
        found += doubtful(doubting, watching, known)
        return [*found, *unsound(context.config.root, dtypes.project, files, watching, known)]

    context.progress("following paths")
    with Beside(read_alone, wanted=context.options.jobs > 1 and len(files) >= _SPREAD) as alone:
        walked = walk_all(engine, [module for file, module in speaking if STEPS_TEXT.within(file.data)])
        context.progress("reading what runs in low precision")
        found = [*findings_of(known, engine.visits), *alone.result()]
    found = [item for item in found if item.location.path in paths]
    return StageOutcome(
        checks_run=len(files) * (len(watching.inspections) + len(watching.soundness))
        + sum(len(seen) for seen in engine.visits.values())
        + 1,
        findings=_each_once(found),
        gates=logic_gates(modules, engine, unread, len(files)),
        facts=_counts(files, modules, engine) | _details(context, files, walked, engine, unread),
    )


def _inspected(
    context: StageContext,
    project: Project,
    modules: Sequence[Module],
    watching: Watchers,
    known: Mapping[str, RuleInfo],
) -> list[Finding]:
    """Return what rules say that read one file at a time."""
    kinds = Kinds(project)
    versions = TorchVersions(context.config.root)
    found: list[Finding] = []
    for module in modules:
        view = View(project, module, kinds, versions)
        for code, inspect in watching.inspections:
            found += [finding_of(known[code], problem) for problem in inspect(view)]
    return found


def _each_once(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep one finding of a rule at a place, the gravest: paths and the file itself may both have told of it."""
    kept: dict[tuple[str, Location], Finding] = {}
    for item in sorted(found, key=lambda item: -item.severity):
        kept.setdefault((item.rule, item.location), item)
    return tuple(sorted(kept.values(), key=lambda item: (item.location, item.rule)))


def _counts(files: Sequence[SourceFile], modules: Sequence[Module], engine: Engine) -> dict[str, Json]:
    counts = {
        "files": len(files),
        "files that speak of AMP": len(modules),
        "functions followed": len(engine.walked),
        "starts": engine.starts,
    }
    return {"counts": counts}


def _details(
    context: StageContext, files: Sequence[SourceFile], walked: Sequence[Walked], engine: Engine, unread: Sequence[str]
) -> dict[str, Json]:
    """Return what was not looked at and, of a task of readable size, what each training function does in order."""
    facts: dict[str, Json] = {
        "not_read": list(unread),
        "not_finished": sorted(f"{scope.module}: {scope.qualname or 'module level'}" for scope in engine.unfinished),
    }
    if context.options.all_facts or len(files) <= _READABLE_FILES:
        facts["training_paths"] = _paths(walked)
    return facts


def _paths(walked: Sequence[Walked]) -> list[Json]:
    """Return each training path once; how a test walks through the code is of no interest."""
    rows: dict[tuple[Happened, ...], Json] = {}
    for item in walked:
        if item.steps and not any(is_test_file(step.place.module.path) for step in item.steps[:1]):
            rows.setdefault(item.steps, _path(item))
    return [row for row in rows.values() if row is not None]


def _path(walked: Walked) -> Json:
    """Return the order of AMP events in one start; None where nothing of it trains."""
    steps: list[Json] = []
    for step in walked.steps:
        row: Json = {"path": step.place.module.path, "line": step.place.line, "what": step.what}
        if row not in steps:  # a second turn of a loop repeats the first
            steps.append(row)
    if not steps:
        return None
    return {"function": walked.scope.qualname or "module level", "module": walked.scope.module, "steps": steps[:_STEPS]}
