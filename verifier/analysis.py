"""What `verify analyze` does: the static stages over some modules, facts about each, one document."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.app import Observer, select_stages, verify
from verifier.chosen_rules import choose_rules
from verifier.config import load_config
from verifier.errors import ExitCode, UsageError
from verifier.model.analysis import AnalysisFormat, AnalysisReport, ModuleAnalysis, Soundness, soundness, worst_of
from verifier.model.stage import RunOptions, StageContext, StageStatus
from verifier.model.task import Config, Task
from verifier.nearest import suggestion
from verifier.output import write_texts
from verifier.plugins import Plugins, load_plugins
from verifier.redaction import SECRETS, without_secrets
from verifier.selection import check_root, check_sources, is_absent
from verifier.streams import complain, say, standard_output

if TYPE_CHECKING:
    from verifier.model.finding import Json
    from verifier.model.report import RunReport
    from verifier.sources import SourceTree

_DEFAULT = ("md",)
_UNFINISHED = (StageStatus.ERRORED, StageStatus.SKIPPED)
_SHOWN = 40  # modules in the summary


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """The options of the command line, by the names that click gives them."""

    formats: tuple[str, ...]
    output: str | None
    config_file: Path | None
    python: Path | None
    quiet: bool
    command: tuple[str, ...]


def run_analyze(paths: Sequence[Path], options: AnalyzeOptions) -> int:
    """Analyze modules and packages, write or print the documents, and return 0 where all are sound, else 1."""
    plugins = load_plugins()
    formats = _formats(plugins, options.formats or _DEFAULT)
    printed = options.output in (None, "-")
    if printed and len(formats) != 1:
        raise UsageError("several formats need a folder: give --output DIR")
    for path in paths:
        if is_absent(path):
            raise UsageError(f"{path}: there is no such file or folder")
    config = _config(paths, options, plugins)
    report = analyze(config, check_sources(config.root, paths, config.exclude), plugins, options)
    if printed:
        _print(formats[0].render(report))
    else:
        write_texts({one.filename: one.render(report) for one in formats}, Path(str(options.output)), ours=False)
    if not options.quiet:
        (complain if printed else say)(summary(report))
    if report.unfinished:
        return ExitCode.INTERNAL
    return ExitCode.PASS if report.verdict is Soundness.SOUND else ExitCode.BLOCK


def analyze(config: Config, sources: SourceTree, plugins: Plugins, options: AnalyzeOptions) -> AnalysisReport:
    """Return what the static stages find in each Python file, with facts about it. Runs and imports none of it."""
    task = Task(name="analyze", title="module analysis", files=tuple(file.path for file in sources))
    python = options.python or (Path(config.python) if config.python else None)
    run = RunOptions(python=python.absolute() if python else None, all_facts=True)
    selection = select_stages(plugins, (), static_only=True)
    choose_rules(plugins, selection.stages, (), ())
    observer = Observer()
    judged = verify(task, config, sources, plugins, selection, run, command=options.command, observer=observer)
    context = StageContext(
        root=config.root,
        task=task,
        config=config,
        sources=sources,
        options=run,
        stash=observer.stash,
        progress=lambda _line: None,
        rules=plugins.rules,
    )
    unfinished = tuple(f"{one.name}: {one.reason}" for one in judged.stages if one.status in _UNFINISHED)
    facts = without_secrets(_facts(plugins, context, judged), observer.stash.get(SECRETS))
    modules = tuple(_modules(judged, sources, facts))
    verdict = worst_of([module.verdict for module in modules])
    return AnalysisReport(
        verdict=Soundness.UNSOUND if unfinished else verdict,
        modules=modules,
        tool=judged.tool,
        unfinished=unfinished,
        suppressed=judged.suppressed,
        snippets=judged.snippets,
    )


def _modules(judged: RunReport, sources: SourceTree, facts: Mapping[str, Mapping[str, Json]]) -> list[ModuleAnalysis]:
    found = [item for stage in judged.stages for item in stage.findings]
    modules = []
    for file in sources.python():
        own = [item for item in found if item.finding.location.path == file.path]
        own.sort(key=lambda item: (-item.finding.severity, item.finding.location))
        modules.append(
            ModuleAnalysis(path=file.path, verdict=soundness(own), findings=tuple(own), facts=facts.get(file.path, {}))
        )
    return modules


def _facts(plugins: Plugins, context: StageContext, judged: RunReport) -> dict[str, dict[str, Json]]:
    """Return path -> section -> facts, of all plugins."""
    merged: dict[str, dict[str, Json]] = {}
    by_stage: dict[str, Any] = {stage.name: stage.facts for stage in judged.stages}
    for brought in plugins.manager.hook.verifier_module_facts(context=context, facts=by_stage):
        for path, sections in brought.items():
            merged.setdefault(path, {}).update(sections)
    return merged


def summary(report: AnalysisReport) -> str:
    """Return a line for each module, the worst first, and the verdict."""
    ranked = sorted(report.modules, key=lambda module: (-list(Soundness).index(module.verdict), module.path))
    lines = [f"{module.verdict:16s} {module.path}{_counted(module)}" for module in ranked[:_SHOWN]]
    if len(ranked) > _SHOWN:
        lines.append(f"and {len(ranked) - _SHOWN} more modules")
    lines += [f"did not finish: {reason}" for reason in report.unfinished]
    if len(ranked) != 1 or report.unfinished:
        lines.append(f"{report.verdict:16s} {len(ranked)} modules")
    return "\n".join(lines)


def _counted(module: ModuleAnalysis) -> str:
    counts = Counter(item.finding.severity for item in module.findings)
    told = ", ".join(f"{counts[severity]} {severity.name}" for severity in sorted(counts, reverse=True))
    return f"  ({told})" if told else ""


def _formats(plugins: Plugins, values: Sequence[str]) -> list[AnalysisFormat]:
    known = {one.name: one for brought in plugins.manager.hook.verifier_analysis_formats() for one in brought}
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UsageError(f'`verify analyze` has no format "{name}"{suggestion(name, known)}')
    return [known[name] for name in dict.fromkeys(names)]


def _config(paths: Sequence[Path], options: AnalyzeOptions, plugins: Plugins) -> Config:
    return load_config(
        check_root(paths),
        file=options.config_file,
        gates={stage.name: stage.gates for stage in plugins.stages},
        codes=plugins.rules,
        essential={code for code, rule in plugins.rules.items() if rule.essential},
    )


def _print(text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    with standard_output():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
