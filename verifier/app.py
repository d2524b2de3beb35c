"""One run: configuration, task and plugins in; a finished report out."""

from __future__ import annotations

import functools
import hashlib
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from verifier import __version__
from verifier.acceptance import deferred_gates, judge_acceptance
from verifier.chosen_rules import EVERY_RULE, ChosenRules, as_facts
from verifier.errors import UsageError
from verifier.fixing.offered import with_fixes
from verifier.git import commit_and_dirty
from verifier.model.report import FileRecord, NotRun, RunReport, Source
from verifier.model.stage import RunOptions, Stage, StageContext, StageResult, Stash
from verifier.nearest import suggestion
from verifier.pipeline import PipelineResult, run_stages
from verifier.redaction import SECRETS, without_secrets
from verifier.scoring import task_score, verdict
from verifier.snippets import Snippets
from verifier.sources import read_regular

if TYPE_CHECKING:
    from verifier.baseline.ratchet import Ratchet
    from verifier.model.finding import Json
    from verifier.model.rule import RuleInfo
    from verifier.model.task import Config, Task
    from verifier.plugins import Plugins
    from verifier.shards.stamp import Stamp
    from verifier.sources import SourceTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The stages to run, those left out with the reason, and the rules to report.

    Args:
        accepted: the baseline; it takes note of what each run changes in it.
        stamp: of which larger run this is a part.
    """

    stages: tuple[Stage, ...]
    left_out: tuple[NotRun, ...] = ()
    rules: ChosenRules = EVERY_RULE
    accepted: Ratchet | None = None
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """What the terminal is told while a run goes on. All default to silence."""

    started: Callable[[Stage], None] = lambda _stage: None
    finished: Callable[[StageResult], None] = lambda _result: None
    progress: Callable[[str], None] = lambda _line: None
    output: Callable[[bytes], None] = lambda _data: None
    stash: Stash = field(default_factory=Stash)  # what stages leave for others, for a caller that needs some of it


def select_stages(
    plugins: Plugins, wanted: Sequence[str], *, static_only: bool = False, reason: str = "left out by --stage"
) -> Selection:
    """Return the stages named in `wanted` (by name or number), all of them where it is empty.

    Raises:
        UsageError: no stage has that name, or a stage that runs code is asked of a static run.
    """
    chosen = set()
    for name in wanted:
        stage = plugins.stage(name)
        if stage is None:
            raise UsageError(f'there is no stage "{name}"{suggestion(name, [s.name for s in plugins.stages])}')
        if static_only and stage.runs_code:
            raise UsageError(f'`verify check` runs no code, so it has no stage "{stage.name}"; declare a task for that')
        chosen.add(stage.name)
    run, left = [], []
    for stage in plugins.stages:
        if static_only and stage.runs_code:
            left.append(NotRun(number=stage.number, name=stage.name, reason="`verify check` runs no code"))
        elif chosen and stage.name not in chosen:
            left.append(NotRun(number=stage.number, name=stage.name, reason=reason))
        else:
            run.append(stage)
    return Selection(stages=tuple(run), left_out=tuple(left))


def verify(
    task: Task,
    config: Config,
    sources: SourceTree,
    plugins: Plugins,
    selection: Selection,
    options: RunOptions,
    *,
    command: Sequence[str],
    observer: Observer | None = None,
) -> RunReport:
    """Run the selected stages over one task and return the judged report, free of secrets. Writes nothing."""
    observer, ratchet = observer or Observer(), selection.accepted
    context = StageContext(
        root=config.root,
        task=task,
        config=config,
        sources=sources,
        options=options,
        stash=observer.stash,
        progress=observer.progress,
        rules=plugins.rules,
        output=observer.output,
    )
    commit, dirty = sources.checkout or commit_and_dirty(config.root)  # before any code runs, which may change files
    configuration = _configuration(config)
    result = run_stages(
        selection.stages,
        context,
        plugins,
        left_out=selection.rules.left_out,
        **({"cover": lambda: ratchet.cover(task.name)} if ratchet is not None else {}),
        started=observer.started,
        finished=observer.finished,
    )
    judged = result.stages
    tool = _tool(plugins, config, selection, result, command) | configuration
    if ratchet is not None:
        judged = ratchet.settled(task.name, judged, selection.rules.left_out)
        tool["baseline"] = ratchet.facts(judged)
    report = RunReport(
        task=task.name,
        title=task.title,
        verdict=verdict(judged),
        score=task_score(judged),
        block_at=config.block_at.name,
        tool=tool,
        source=Source(commit=commit, dirty=dirty, files=_records(sources)),
        environment=_environment(judged, options),
        stages=with_fixes(judged, config, sources, plugins.fixes, plugins.rules),
        acceptance=judge_acceptance(task.acceptance, judged),
        suppressed=result.suppressed,
        not_run=selection.left_out,
        deferred=deferred_gates(judged),
        snippets=_snippets(judged, sources),
        rules=_rules(result, plugins),
    )
    report = without_secrets(report, observer.stash.get(SECRETS))
    plugins.manager.hook.verifier_run_finished(report=report)
    return report


def _rules(result: PipelineResult, plugins: Plugins) -> dict[str, RuleInfo]:
    carried = [item for stage in result.stages for item in stage.findings]
    carried += [entry.finding for entry in result.suppressed]
    codes = sorted({item.finding.rule for item in carried})
    return {code: plugins.rules[code] for code in codes if code in plugins.rules}


def _tool(
    plugins: Plugins, config: Config, selection: Selection, result: PipelineResult, command: Sequence[str]
) -> dict[str, Json]:
    """Return who judged and how; what a choice of rules or `per-file-ignores` kept out of the report stands here."""
    chosen = selection.rules
    tool: dict[str, Json] = {
        "version": __version__,
        "plugins": list(plugins.third_party),
        "command": shlex.join(command),
    }
    if chosen.left_out:
        tool["selection"] = as_facts(chosen, result.left_out, plugins.rules, config.block_at)
    if selection.stamp is not None:
        tool["shard"] = selection.stamp.as_facts()
    if result.ignored:
        tool["per_file_ignores"] = {
            "findings": len(result.ignored),
            "blocking": sum(finding.severity >= config.block_at for finding in result.ignored),
            "rules": sorted({finding.rule for finding in result.ignored}),
            "files": sorted({finding.location.path for finding in result.ignored}),
        }
    return tool


def _configuration(config: Config) -> dict[str, Json]:
    """Return which configuration was in force, byte by byte: what a task demands is an input like its files."""
    if config.path is None:
        return {}
    digest = hashlib.sha256(read_regular(config.path)).hexdigest()
    return {"configuration": {"path": config.path.name, "sha256": digest}}


def _records(sources: SourceTree) -> tuple[FileRecord, ...]:
    return tuple(FileRecord(path=file.path, sha256=file.sha256, lines=file.line_count) for file in sources)


def _environment(stages: Sequence[StageResult], options: RunOptions) -> dict[str, Json]:
    """Return what the figures and resolutions of the report depend on. Imports nothing: torch is asked by metadata."""
    device: Json = next((stage.facts["device"] for stage in stages if "device" in stage.facts), None)
    environment: dict[str, Json] = {
        "python": platform.python_version(),
        "torch": None,
        "device": device or "none: no code was run",
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if options.python is None or Path(options.python).resolve() == Path(sys.executable).resolve():
        environment["torch"] = _installed_torch()
    for stage in stages:
        told = stage.facts.get("environment")
        if isinstance(told, dict):
            environment |= told
    return environment


@functools.cache
def _installed_torch() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _snippets(stages: Sequence[StageResult], sources: SourceTree) -> Snippets:
    findings = [item.finding for stage in stages for item in stage.findings]
    places = [place for item in findings for place in (item.location, *(other.location for other in item.related))]
    return Snippets(places, sources)
