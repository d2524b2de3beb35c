"""One run of stage 2: read what can touch AMP, follow it, let every rule look, and say what was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.compiling import collector_paused
from stages._source.depth import deep
from stages._source.discovery import rules_in
from stages._source.parsing import parse
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
from stages.logic.projects import Looked, project_of
from stages.logic.searched import searched
from stages.logic.soundness import unsound
from stages.logic.starts import walk_all
from stages.logic.survey import acting_names, survey
from stages.logic.suspects import spoken_of
from stages.logic.view import View
from stages.logic.watch import watchers
from verifier.api import FOUND, StageOutcome, rest_of_project

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from stages._source.program.project import Module, Project
    from stages.logic.engine.state import Happened
    from stages.logic.starts import Walked
    from stages.logic.survey import Surveyed
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
    watching, spoken = watchers(), spoken_of([*files, *others])
    surveyed = survey(files, watching, spoken, jobs=context.options.jobs, progress=context.progress)
    speaking = {file.path: file for file in files if surveyed[file.path].speaks}
    looked = Looked()
    project = project_of([*files, *others], {path: surveyed[path].code for path in speaking}, looked)
    context.progress(f"reading {len(speaking)} files that speak of AMP")
    acting = frozenset().union(
        *(said.acting for said in surveyed.values()), *(acting_names(file.data) for file in others)
    )
    engine = Engine(project, watching.checks, acting)
    known = {rule.code: rule for rule in rules_in(rules)}
    apart = project.apart()

    def read_alone() -> tuple[list[Finding], list[str], Looked]:
        found = _inspected(context, apart, surveyed, watching, known)
        dtypes = read_dtypes(apart.whole(), _modules(apart, (path for path in speaking if surveyed[path].low)))
        found += judged(known, watching.judges, dtypes.project, dtypes.units)
        doubting = Doubting(surveyed=surveyed, spoken=spoken, root=context.config.root, dtypes=dtypes, found=found)
        found += doubtful(doubting, watching, known)
        found += unsound(context.config.root, dtypes.project, surveyed, watching, known)
        return found, apart.unreadable(speaking), looked

    context.progress("following paths")
    with Beside(read_alone, wanted=context.options.jobs > 1 and len(files) >= _SPREAD) as alone:
        walked = walk_all(engine, _modules(project, (path for path in speaking if surveyed[path].steps)))
        context.progress("reading what runs in low precision")
        told, refused, elsewhere = alone.result()
    looked.merge(elsewhere)
    found = [item for item in (*findings_of(known, engine.visits), *told) if item.location.path in surveyed]
    unread = _unread(context, speaking, {*refused, *project.unreadable(speaking)})
    return StageOutcome(
        checks_run=len(files) * (len(watching.inspections) + len(watching.soundness))
        + sum(len(seen) for seen in engine.visits.values())
        + 1,
        findings=_each_once(found),
        gates=logic_gates(len(speaking) - len(unread), engine, unread, len(files)),
        facts=_counts(len(files), len(speaking) - len(unread), engine)
        | _details(context, files, walked, engine, unread),
        searched=searched(files, surveyed, spoken, looked) if context.sources.cache is not None else None,
    )


def _modules(project: Project, paths: Iterable[str]) -> list[Module]:
    return [module for path in paths if (module := project.module(path)) is not None]


def _unread(context: StageContext, speaking: Mapping[str, SourceFile], refused: Container[str]) -> list[str]:
    """Return the files that speak of AMP and do not parse, in order; no rule may have asked for one of them.

    Args:
        refused: those of which that is known.
    """
    before = context.stash.get(FOUND) or {}
    compiled = "syntax" in before
    broken = {item.location.path for item in before.get("syntax", ()) if item.rule == "SYN001"}
    return [
        path
        for path, file in speaking.items()
        if path in refused or ((path in broken or not compiled) and parse(file) is None)
    ]


def _inspected(
    context: StageContext,
    project: Project,
    surveyed: Mapping[str, Surveyed],
    watching: Watchers,
    known: Mapping[str, RuleInfo],
) -> list[Finding]:
    """Return what rules say that read one file at a time."""
    kinds = Kinds(project)
    versions = TorchVersions(context.config.root)
    inspections = {rule: inspect for rule, _, inspect in watching.inspections}
    found: list[Finding] = []
    for path, said in surveyed.items():
        module = project.module(path) if said.inspected else None
        if module is not None:
            view = View(project, module, kinds, versions)
            for rule in said.inspected:
                found += [finding_of(known[rule], problem) for problem in inspections[rule](view)]
    return found


def _each_once(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep one finding of a rule at a place, the gravest: paths and the file itself may both have told of it."""
    kept: dict[tuple[str, Location], Finding] = {}
    for item in sorted(found, key=lambda item: -item.severity):
        kept.setdefault((item.rule, item.location), item)
    return tuple(sorted(kept.values(), key=lambda item: (item.location, item.rule)))


def _counts(files: int, speaking: int, engine: Engine) -> dict[str, Json]:
    counts: dict[str, Json] = {
        "files": files,
        "files that speak of AMP": speaking,
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
