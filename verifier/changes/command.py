"""`verify --changed-since REF`: the tasks that a change concerns, and a static check of files without a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.changes.affected import affected
from verifier.changes.files import changed_since
from verifier.commands import (
    CHECK_TASK,
    Runner,
    cache_of,
    delivered,
    is_to_stdout,
    load_for,
    ratchet_of,
    selection_of,
    terminal_of,
)
from verifier.config import find_root
from verifier.errors import ExitCode, UsageError
from verifier.executors.choice import is_cluster
from verifier.model.task import Task
from verifier.output import DEFAULT_FORMATS, parse_formats
from verifier.plugins import load_plugins
from verifier.selection import MARKERS, check_sources
from verifier.streams import complain
from verifier.task_command import Unit, check_options, closed, run_each, run_task, stamped, taken, workspace_of

if TYPE_CHECKING:
    from verifier.changes.affected import Affected
    from verifier.commands import Options
    from verifier.model.report import Renderer
    from verifier.model.task import Config
    from verifier.plugins import Plugins


def run_changed(ref: str, options: Options) -> int:
    """Verify what has changed since the merge base of `ref` and HEAD; return the worst exit code.

    Raises:
        UsageError: git cannot say what has changed.
    """
    plugins = load_plugins()
    config = load_for(find_root(Path.cwd(), markers=MARKERS) or Path.cwd(), options.config_file, plugins)
    formats = parse_formats(options.formats or DEFAULT_FORMATS, plugins.renderers)
    changes = changed_since(config.root, ref)
    found = affected(config, changes.paths, [options.baseline] if options.baseline else [])
    count = len(found.tasks) + bool(found.loose)
    if is_to_stdout(options, formats) and count > 1:
        raise UsageError("--output - takes one task, and more have changed; give a folder")
    _tell(ref, changes.base, len(changes.paths), found, options)
    if not count:
        return ExitCode.PASS
    checks = bool(found.loose) and _can_check(plugins, found.loose, options)
    names = (*found.tasks, *((CHECK_TASK,) if checks else ()))
    selection = stamped(selection_of(plugins, options), names, options, changed_since=changes.base)
    mine = taken(selection, names, options)
    runner = Runner(
        config=config,
        plugins=plugins,
        selection=selection,
        options=options,
        terminal=terminal_of(options),
        workspace=workspace_of(config, selection),
        cache=cache_of(options, config, plugins),
    )
    accepted = ratchet_of(options, config, plugins, found.loose)
    runner = dataclasses.replace(runner, selection=dataclasses.replace(runner.selection, accepted=accepted))
    check_options(options, config)
    units = [Unit(name, partial(run_task, runner, config.tasks[name], formats, several=True)) for name in found.tasks]
    units += [Unit(CHECK_TASK, partial(_check, runner, config, found.loose, ref))] if checks else []
    units = [unit for unit in units if unit.name in mine]
    return _on_cluster(runner, units, formats) if is_cluster(options) else run_each(runner, units)


def _on_cluster(runner: Runner, units: Sequence[Unit], formats: Sequence[Renderer]) -> int:
    """Verify the tasks on a cluster, and read the files without a task here."""
    from verifier.executors.running import run_on_cluster  # noqa: PLC0415 - few runs have a cluster

    tasks = [runner.config.tasks[unit.name] for unit in units if unit.name != CHECK_TASK]
    codes = run_on_cluster(runner, tasks, formats, several=True) if tasks else {}
    codes |= {unit.name: unit.run() for unit in units if unit.name == CHECK_TASK}
    return closed(runner, codes, several=True)


def _can_check(plugins: Plugins, paths: tuple[Path, ...], options: Options) -> bool:
    """Say whether a stage is asked for that only reads; without one, files that no task owns are left alone."""
    if not options.stage or _static(plugins, options):
        return True
    complain(f"verify: not checked, as no stage was asked for that only reads: {len(paths)} files without a task")
    return False


def _static(plugins: Plugins, options: Options) -> tuple[str, ...]:
    """Return the stages that were asked for and only read."""
    static = [stage.name for stage in plugins.stages if not stage.runs_code]
    numbers = {str(stage.number): stage.name for stage in plugins.stages}
    return tuple(name for name in (numbers.get(name, name) for name in options.stage) if name in static)


def _check(runner: Runner, config: Config, paths: tuple[Path, ...], ref: str) -> int:
    """Run the static stages over files that no task owns."""
    options = runner.options
    narrowed = dataclasses.replace(options, stage=_static(runner.plugins, options))
    selection = dataclasses.replace(
        selection_of(runner.plugins, narrowed, static_only=True),
        accepted=runner.selection.accepted,
        stamp=runner.selection.stamp,
    )
    sources = check_sources(config.root, paths, config.exclude, runner.cache)
    files = tuple(file.path for file in sources)
    task = Task(name=CHECK_TASK, title=f"files without a task, changed since {ref}", files=files)
    runner = dataclasses.replace(runner, selection=selection)
    formats = parse_formats(options.formats or DEFAULT_FORMATS, runner.plugins.renderers)
    return delivered(runner, runner.run(task, sources), formats, several=True)


def _tell(ref: str, base: str, files: int, found: Affected, options: Options) -> None:
    if options.quiet:
        return
    what = [f"task {name}" for name in found.tasks]
    what += [f"{len(found.loose)} file{'' if len(found.loose) == 1 else 's'} without a task"] if found.loose else []
    since = f"{files} file{'' if files == 1 else 's'} changed since {ref} (merge base {base[:12]})"
    complain(f"verify: {since}: {', '.join(what) or 'none that is verified, so there is nothing to do'}")
