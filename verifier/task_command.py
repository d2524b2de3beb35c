"""`verify TASK…` and `verify --all`: one task after the other, each read, judged, written and forgotten.

What goes wrong with one task is said and counts; the others are verified all the same.
"""

from __future__ import annotations

import dataclasses
import gc
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from verifier.commands import (
    Options,
    Runner,
    cache_of,
    delivered,
    is_to_stdout,
    project_config,
    ratchet_of,
    run_options,
    selection_of,
    terminal_of,
)
from verifier.errors import BaselineError, ExitCode, MachineError, OutputError, UsageError, VerifierError
from verifier.executors.choice import is_cluster
from verifier.nearest import suggestion
from verifier.output import DEFAULT_FORMATS, parse_formats
from verifier.plugins import load_plugins
from verifier.printable import one_line
from verifier.selection import task_sources
from verifier.streams import complain, say
from verifier.task_workers import COLLECT_EVERY, can_fork, run_apart
from verifier.workspace import Workspace

if TYPE_CHECKING:
    from verifier.app import Selection
    from verifier.model.finding import Json
    from verifier.model.report import Renderer
    from verifier.model.task import Config, Task

_NAMED = 20


def run_tasks(names: Sequence[str], *, every: bool, options: Options) -> int:
    """Run tasks by name, or every one, and return the exit code: the worst of all."""
    plugins = load_plugins()
    config = project_config(options.config_file, plugins)
    tasks = _wanted(config, names, every=every)
    selection = stamped(selection_of(plugins, options), [task.name for task in tasks], options)
    formats = parse_formats(options.formats or DEFAULT_FORMATS, plugins.renderers)
    to_stdout = is_to_stdout(options, formats)
    several = len(tasks) > 1
    if to_stdout and several:
        raise UsageError("--output - takes one task; give a folder for several")
    terminal = terminal_of(options)
    selection = dataclasses.replace(selection, accepted=ratchet_of(options, config, plugins))
    runner = Runner(
        config=config,
        plugins=plugins,
        selection=selection,
        options=options,
        terminal=terminal,
        cache=cache_of(options, config, plugins),
        workspace=workspace_of(config, selection),
    )
    check_options(options, config)
    mine = taken(selection, [task.name for task in tasks], options)
    if is_cluster(options):
        from verifier.executors.running import run_on_cluster  # noqa: PLC0415 - few runs have a cluster

        chosen = [task for task in tasks if task.name in mine]
        return closed(runner, run_on_cluster(runner, chosen, formats, several=several) if chosen else {}, several)
    spread = several and _can_be_spread(runner)
    if spread:
        runner = dataclasses.replace(runner, options=dataclasses.replace(options, jobs=1))
    units = [Unit(task.name, partial(run_task, runner, task, formats, several)) for task in tasks if task.name in mine]
    if not several:
        return max((unit.run() for unit in units), default=ExitCode.PASS)
    return run_each(runner, units, jobs=run_options(options, config).jobs if spread else 1)


def _can_be_spread(runner: Runner) -> bool:
    """Say whether tasks do not depend on each other, so that several processes may share them.

    Stages that run code want the machine for themselves; a baseline changes from task to task, and so may observers.
    """
    hooks = runner.plugins.manager.hook
    observed = hooks.verifier_run_finished.get_hookimpls() or hooks.verifier_stage_finished.get_hookimpls()
    runs_code = any(stage.runs_code for stage in runner.selection.stages)
    return can_fork() and not (observed or runs_code or runner.selection.accepted or _keeps(runner.options))


def workspace_of(config: Config, selection: Selection) -> Workspace:
    return Workspace(config, runs_code=any(stage.runs_code for stage in selection.stages))


def check_options(options: Options, config: Config) -> None:
    """Refuse what no task could be run with, before the first one is.

    Raises:
        UsageError: an option that concerns every task is wrong.
    """
    run_options(options, config)
    if options.save_anyway is not None and not options.save_anyway.strip():
        raise UsageError("--save-baseline-anyway needs a reason, which is kept with the figures")


@dataclass(frozen=True, slots=True)
class Unit:
    """A task by its name, and what runs it and returns its exit code."""

    name: str
    run: Callable[[], int]


def run_each(runner: Runner, units: Sequence[Unit], *, jobs: int = 1) -> int:
    """Run several tasks, say how they ended, and return the worst exit code.

    Each leaves nothing behind but its report: what refers to itself in a circle is freed after some tasks, as the
    collector is off for the whole process.

    Args:
        jobs: processes that share them. The first task is run here, so that all others find loaded what it needed.
    """
    codes: dict[str, int] = {}
    for number, unit in enumerate(units):
        if number and jobs > 1:
            codes |= _apart(units[1:], jobs)
            break
        codes[unit.name] = _guarded(unit)
        if number % COLLECT_EVERY == 0:
            gc.collect()
        if not number:
            gc.freeze()  # what all tasks share is not looked through again
    return closed(runner, codes, several=True)


def closed(runner: Runner, codes: Mapping[str, int], several: bool) -> int:
    """Say how several tasks ended, and return the worst exit code."""
    if codes and several and not runner.terminal.quiet:
        say(_closing(codes))
    return max(codes.values(), default=ExitCode.PASS)


def _apart(units: Sequence[Unit], jobs: int) -> dict[str, int]:
    codes = {}
    for unit, ended in zip(units, run_apart([partial(_guarded, unit) for unit in units], jobs), strict=True):
        codes[unit.name] = ended.code
        if ended.err:
            complain(ended.err.removesuffix("\n"))
        if ended.out:
            say(ended.out.removesuffix("\n"))
        if ended.died:
            complain(f"verify: task {one_line(unit.name)} has no report: its process was ended by {ended.died}")
    return codes


def _guarded(unit: Unit) -> int:
    try:
        return unit.run()
    except VerifierError as error:
        complain(f"verify: task {one_line(unit.name)} has no report: {error}")
        return ExitCode.INTERNAL if isinstance(error, (MachineError, OutputError)) else ExitCode.USAGE
    except Exception as error:
        if isinstance(error, BrokenPipeError):  # nobody reads any more, so nobody would hear of the others
            raise
        complain(traceback.format_exc().rstrip())
        complain(f"verify: task {one_line(unit.name)} has no report, as the verifier itself failed")
        return ExitCode.INTERNAL


def _closing(codes: Mapping[str, int]) -> str:
    """Return how many tasks ended how, and the names of those that did not pass."""
    words = {int(ExitCode.PASS): "PASS", int(ExitCode.BLOCK): "BLOCK"}
    counts = Counter(words.get(code, "not verified") for code in codes.values())
    told = ", ".join(f"{counts[word]} {word}" for word in (*words.values(), "not verified") if counts[word])
    bad = [name for name, code in codes.items() if code != ExitCode.PASS]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    named = f": {', '.join(map(one_line, bad[:_NAMED]))}{more}" if bad else ""
    return f"{len(codes)} tasks: {told}{named}"


def stamped(selection: Selection, names: Sequence[str], options: Options, **more: Json) -> Selection:
    """Return the selection with what a report of `--shard` says of the whole run; unchanged without that option.

    Args:
        names: every task of the run.
        more: what else all shards of it must agree in.

    Raises:
        UsageError: there is no such shard, or the run cannot be dealt out.
    """
    if options.shard is None:
        return selection
    from verifier.shards.dealing import read_shard  # noqa: PLC0415 - most runs are whole
    from verifier.shards.stamp import Stamp, choices_of  # noqa: PLC0415

    shard = read_shard(options.shard)
    if options.update_baseline is not None:
        raise UsageError("--update-baseline needs a whole run, and --shard makes a part of one; leave one of them out")
    return dataclasses.replace(
        selection, stamp=Stamp(shard=shard, tasks=tuple(names), choices=choices_of(options) | more)
    )


def taken(selection: Selection, names: Sequence[str], options: Options) -> Collection[str]:
    """Return which of the tasks this run takes, and say so where it is a shard."""
    if selection.stamp is None:
        return names
    shard = selection.stamp.shard
    mine = shard.takes(names)
    if not options.quiet:
        what = f"{len(mine)} of {len(names)} task{'' if len(names) == 1 else 's'}"
        complain(f"verify: shard {shard}: {what if mine else f'none of {len(names)}, so there is nothing to do'}")
    return mine


def run_task(runner: Runner, task: Task, formats: Sequence[Renderer], several: bool) -> int:
    """Run one task, deliver its report, and return the exit code."""
    sources = runner.workspace.sources(task) if runner.workspace else task_sources(runner.config, task)
    sources.cache = runner.cache
    report = runner.run(task, sources)
    code = delivered(runner, report, formats, several)
    if not _keeps(runner.options):
        return code
    from verifier.keeping import keep  # noqa: PLC0415 - few runs ask for it

    try:
        lines = keep(report, runner.config.root, runner.plugins, runner.options.save_anyway)
    except BaselineError as error:
        complain(f"verify: {error}")
        return max(code, ExitCode.USAGE) if code is not ExitCode.BLOCK else code
    if not runner.terminal.quiet:
        tell = complain if is_to_stdout(runner.options, formats) else say
        tell("\n".join(lines))
    return code


def _keeps(options: Options) -> bool:
    return options.save_baseline or options.save_anyway is not None


def _wanted(config: Config, names: Sequence[str], *, every: bool) -> tuple[Task, ...]:
    if every and names:
        raise UsageError("--all runs every task; name no task beside it")
    if not every and not names:
        raise UsageError("name a task, or use --all")
    if not config.tasks:
        where = config.path or config.root
        raise UsageError(f"{where} declares no task; add a table [tool.verifier.tasks.NAME], or use `verify check`")
    for name in names:
        if name not in config.tasks:
            raise UsageError(f'there is no task "{name}"{suggestion(name, config.tasks)}')
    return tuple(config.tasks[name] for name in (config.tasks if every else dict.fromkeys(names)))
