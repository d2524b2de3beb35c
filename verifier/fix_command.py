"""`verify fix`: apply what can be mended, judge the tree again, and say what was done and what remains."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.app import Observer, verify
from verifier.commands import (
    CHECK_TASK,
    Options,
    deliver_check,
    exit_code,
    formats_of_check,
    load_for,
    project_config,
    run_options,
    selection_of,
    terminal_of,
)
from verifier.config import find_root
from verifier.errors import ExitCode, UsageError
from verifier.fixing.diffs import changed, unified
from verifier.fixing.rounds import Fixed, Fixer
from verifier.fixing.saving import save
from verifier.model.task import Task
from verifier.nearest import suggestion
from verifier.notebooks.file import NotebookFile
from verifier.plugins import load_plugins
from verifier.selection import check_root, check_sources, is_absent, task_sources
from verifier.streams import complain, say, standard_output
from verifier.terminal import watching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.fixing.proposals import Proposal
    from verifier.model.report import RunReport
    from verifier.model.task import Config
    from verifier.plugins import Plugins
    from verifier.sources import SourceTree

_DOES_NOT_PARSE = "SYN001"


def run_fix(targets: Sequence[str], *, unsafe: bool, diff: bool, options: Options) -> int:
    """Fix files, folders, or the files of one task, and return the exit code.

    After fixing it is the verdict of what remains. With `diff` it is 1 where something would be changed, else that
    of the tree as it is; nothing is written then.
    """
    plugins = load_plugins()
    config, task, sources = _selected(targets, plugins, options)
    selection = selection_of(plugins, options, static_only=True)
    formats = formats_of_check(plugins, options)
    terminal = terminal_of(options)
    settings = run_options(options, config)
    with watching(terminal, "fix") as observer:

        def judge(tree: SourceTree) -> RunReport:
            told = observer if tree is sources else Observer(progress=observer.progress)
            return verify(task, config, tree, plugins, selection, settings, command=options.command, observer=told)

        fixer = Fixer(config=config, fixes=plugins.fixes, rules=plugins.rules, judge=judge, unsafe=unsafe)
        fixed = fixer.fix(sources)
    differences = list(changed(sources, fixed.sources))
    if diff:
        return _shown(differences, fixed, quiet=terminal.quiet)
    save([(_absolute(fixed.sources, path), old, new) for path, old, new in differences])
    if not terminal.quiet:
        tell = complain if options.output == "-" else say
        tell("\n".join([*_done(fixed.applied), *_not_done(fixed, sources)]))
    deliver_check(fixed.report, config, formats, options)
    return exit_code(fixed.report)


def _selected(targets: Sequence[str], plugins: Plugins, options: Options) -> tuple[Config, Task, SourceTree]:
    """Return what to fix: paths, or else the task of that name."""
    paths = [Path(target) for target in targets]
    if len(targets) == 1 and is_absent(paths[0]):
        is_name = "/" not in targets[0] and (options.config_file is not None or find_root(Path.cwd()) is not None)
        config = project_config(options.config_file, plugins) if is_name else None
        if config is None or targets[0] not in config.tasks:
            near = suggestion(targets[0], config.tasks) if config else ""
            raise UsageError(f"{targets[0]}: there is no such file, folder or task{near}")
        task = config.tasks[targets[0]]
        return config, task, task_sources(config, task)
    for path in paths:
        if is_absent(path):
            raise UsageError(f"{path}: there is no such file or folder")
    config = load_for(check_root(paths), options.config_file, plugins)
    sources = check_sources(config.root, paths, config.exclude)
    files = tuple(file.path for file in sources)
    return config, Task(name=CHECK_TASK, title=f"fix of {', '.join(targets)}", files=files), sources


def _absolute(sources: SourceTree, path: str) -> Path:
    file = sources.get(path)
    assert file is not None
    return file.absolute


def _shown(differences: Sequence[tuple[str, bytes, bytes]], fixed: Fixed, *, quiet: bool) -> int:
    with standard_output():
        sys.stdout.flush()
        for path, old, new in differences:
            sys.stdout.buffer.write(unified(path, old, new))
        sys.stdout.buffer.flush()
    if not quiet:
        complain("\n".join([*_done(fixed.applied, would=True), *_not_done(fixed, fixed.sources)]))
    return ExitCode.BLOCK if differences else exit_code(fixed.report)


def _done(applied: Sequence[Proposal], *, would: bool = False) -> list[str]:
    lines = []
    for item in applied:
        place = item.finding.location
        mark = " (unsafe)" if item.safety == "unsafe" else ""
        lines.append(f"{place.path}:{place.line}: {item.finding.rule}{mark}: {item.repair.what}")
    files = {path for item in applied for path in item.repair.edits}
    count = f"{len(applied)} finding{'' if len(applied) == 1 else 's'}"
    where = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    verb = "would fix" if would else "fixed"
    return [*lines, f"{verb} {count} in {where}" if applied else f"{verb} nothing"]


def _not_done(fixed: Fixed, sources: SourceTree) -> list[str]:
    """Say what could be fixed and was not, with the reason."""
    lines = []
    for item in fixed.withdrawn:
        place = item.finding.location
        lines.append(
            f"{place.path}:{place.line}: {item.finding.rule} not fixed: with the change made, the rule still reports,"
            " or another one does"
        )
    refused = {item.finding.location for stage in fixed.report.stages for item in stage.findings
               if item.finding.rule == _DOES_NOT_PARSE}  # fmt: skip
    lines += [
        f"{place.path}: it does not parse (line {place.line}), so nothing in it is fixed" for place in sorted(refused)
    ]
    notebooks = {
        item.finding.location.path
        for stage in fixed.report.stages
        for item in stage.findings
        if isinstance(sources.get(item.finding.location.path), NotebookFile)
    }
    if notebooks:
        lines.append(f"notebooks are not fixed: {', '.join(sorted(notebooks))}")
    if fixed.unsafe:
        more = f"{len(fixed.unsafe)} more can be fixed with --unsafe"
        codes = ", ".join(sorted({item.finding.rule for item in fixed.unsafe}))
        lines.append(f"{more}, which may change what the program does: {codes}")
    return lines
