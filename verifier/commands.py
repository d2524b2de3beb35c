"""What each command does, from options to an exit code."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.app import Selection, select_stages, verify
from verifier.catalogue import plugins_of_check
from verifier.chosen_rules import choose_rules
from verifier.config import find_root, load_config
from verifier.errors import ExitCode, UsageError
from verifier.model.isolation import LEVELS, SANDBOXES
from verifier.model.report import Renderer, RunReport, Verdict
from verifier.model.stage import RunOptions
from verifier.model.task import Config, Task
from verifier.nearest import suggestion
from verifier.output import DEFAULT_FORMATS, default_folder, parse_formats, print_document, write_report
from verifier.plugins import Plugins, load_plugins
from verifier.selection import check_root, check_sources, is_absent
from verifier.streams import complain, say
from verifier.terminal import Terminal, internal_failures, make_terminal, passing_on, summary, watching

if TYPE_CHECKING:
    from verifier.baseline.ratchet import Ratchet
    from verifier.cache.cache import Cache
    from verifier.sources import SourceTree
    from verifier.workspace import Workspace

CHECK_TASK = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one command line, by the names that click gives them."""

    stage: tuple[str, ...]
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    formats: tuple[str, ...]
    output: str | None
    config_file: Path | None
    python: Path | None
    jobs: int | None
    facts: bool
    time_limit: float | None
    memory_limit: float | None
    sandbox: str
    require_isolation: str | None
    strict: bool
    require_device: str | None
    quiet: bool
    verbose: bool
    color: str
    no_progress: bool
    command: tuple[str, ...]
    no_cache: bool = False
    save_baseline: bool = False
    save_anyway: str | None = None
    baseline: Path | None = None
    update_baseline: str | None = None
    shard: str | None = None
    executor: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """What the tasks of one command line share."""

    config: Config
    plugins: Plugins
    selection: Selection
    options: Options
    terminal: Terminal
    cache: Cache | None = None
    live: bool = False  # what the code under verification prints is passed on as it comes
    workspace: Workspace | None = None  # what several tasks read, once

    def run(self, task: Task, sources: SourceTree) -> RunReport:
        with (passing_on if self.live else watching)(self.terminal, task.name) as observer:
            return verify(
                task,
                self.config,
                sources,
                self.plugins,
                self.selection,
                run_options(self.options, self.config),
                command=self.options.command,
                observer=observer,
            )

    def save_baseline(self) -> None:
        """Rewrite the baseline where this run has changed it, and say so."""
        sentence = self.selection.accepted.save() if self.selection.accepted else ""
        if sentence and not self.terminal.quiet:
            complain(f"verify: {sentence}")


def delivered(runner: Runner, report: RunReport, formats: Sequence[Renderer], several: bool = False) -> int:
    """Write or print a finished report and its summary, and return the exit code."""
    options, terminal = runner.options, runner.terminal
    to_stdout = is_to_stdout(options, formats)
    written: tuple[Path, ...] = ()
    if to_stdout:
        print_document(report, formats[0])
    else:
        folder = report_folder(options.output, runner.config.root, report.task, several=several)
        written = write_report(report, formats, folder, ours=options.output is None)
    if not terminal.quiet:
        tell = complain if to_stdout else say
        tell(summary(report, terminal, written), colour=terminal.colour)
    runner.save_baseline()
    return exit_code(report)


def run_check(paths: Sequence[Path], *, options: Options) -> int:
    """Run the static stages over files and folders, and return the exit code."""
    for path in paths:
        if is_absent(path):
            raise UsageError(f"{path}: there is no such file or folder")
    root = check_root(paths)
    plugins = load_plugins() if options.no_cache else plugins_of_check(root)
    config = load_for(root, options.config_file, plugins)
    sources = check_sources(config.root, paths, config.exclude, cache_of(options, config, plugins))
    task = Task(
        name=CHECK_TASK,
        title=f"check of {', '.join(map(str, paths))}",
        files=tuple(file.path for file in sources),
    )
    selection = selection_of(plugins, options, static_only=True)
    selection = dataclasses.replace(selection, accepted=ratchet_of(options, config, plugins, paths))
    told = formats_of_check(plugins, options)
    runner = Runner(config=config, plugins=plugins, selection=selection, options=options, terminal=terminal_of(options))
    report = runner.run(task, sources)
    if sources.cache is not None:
        sources.cache.save(sources)
    deliver_check(report, config, told, options)
    runner.save_baseline()
    return exit_code(report)


def formats_of_check(plugins: Plugins, options: Options) -> tuple[Renderer, ...]:
    """Return the formats of a run without a task of its own: `concise` on standard output unless others are asked for.

    Raises:
        UsageError: a format is unknown, or several are to go to standard output.
    """
    wanted = options.formats or (("concise",) if options.output is None else DEFAULT_FORMATS)
    formats = parse_formats(wanted, plugins.renderers)
    is_to_stdout(options, formats)
    return formats


def deliver_check(report: RunReport, config: Config, formats: Sequence[Renderer], options: Options) -> None:
    """Print the report of a run without a task of its own, or write it where the options ask for that."""
    if (not options.formats and options.output is None) or is_to_stdout(options, formats):
        print_document(report, formats[0])
        return
    folder = report_folder(options.output, config.root, report.task, several=False)
    written = write_report(report, formats, folder, ours=options.output is None)
    terminal = terminal_of(options)
    if not terminal.quiet:
        say(summary(report, terminal, written), colour=terminal.colour)


def project_config(config_file: Path | None, plugins: Plugins) -> Config:
    root = find_root(Path.cwd())
    if config_file is None and root is None:
        raise UsageError(
            f"no pyproject.toml or verifier.toml in {Path.cwd()} or above; declare a task there, or use `verify check`"
        )
    return load_for(root or Path.cwd(), config_file, plugins)


def load_for(root: Path, config_file: Path | None, plugins: Plugins) -> Config:
    gates = {stage.name: stage.gates for stage in plugins.stages}
    essential = {code for code, rule in plugins.rules.items() if rule.essential}
    return load_config(root, file=config_file, gates=gates, codes=plugins.rules, essential=essential)


def cache_of(options: Options, config: Config, plugins: Plugins) -> Cache | None:
    """Return what earlier runs have established of the project; None where that is not to be used."""
    if options.no_cache:
        return None
    from verifier.cache.cache import open_cache  # noqa: PLC0415 - lists and explanations have none

    return open_cache(config.root, plugins)


def selection_of(plugins: Plugins, options: Options, *, static_only: bool = False) -> Selection:
    selection = select_stages(plugins, options.stage, static_only=static_only)
    chosen = choose_rules(plugins, selection.stages, options.select, options.ignore)
    return dataclasses.replace(selection, rules=chosen)


def ratchet_of(options: Options, config: Config, plugins: Plugins, checked: Sequence[Path] = ()) -> Ratchet | None:
    """Return the baseline that the options name, read; `checked` is what `verify check` was given."""
    if options.baseline is None:
        if options.update_baseline is not None:
            raise UsageError("--update-baseline needs --baseline FILE: the file to write")
        return None
    from verifier.baseline.ratchet import Ratchet  # noqa: PLC0415 - most runs have none

    paths = tuple(Path(os.path.relpath(os.path.realpath(path), config.root)).as_posix() for path in checked)
    running = {stage.name for stage in plugins.stages if stage.runs_code}
    return Ratchet(options.baseline, config.root, reason=options.update_baseline, checked=paths, running=running)


def is_to_stdout(options: Options, formats: Sequence[Renderer]) -> bool:
    if options.output != "-":
        return False
    if len(formats) != 1:
        raise UsageError("--output - prints one document; choose one with --format")
    return True


def report_folder(output: str | None, root: Path, task: str, *, several: bool) -> Path:
    if output is None:
        return default_folder(root, task)
    return Path(output) / task if several else Path(output)


def run_options(options: Options, config: Config) -> RunOptions:
    python = options.python or (Path(config.python) if config.python else None)
    if python is not None and not python.is_file():
        raise UsageError(f"--python {python}: there is no such interpreter")
    for option, value, names in (
        ("--sandbox", options.sandbox, SANDBOXES),
        ("--require-isolation", options.require_isolation, LEVELS),
    ):
        if value is not None and value not in names:
            raise UsageError(f'{option} knows no "{value}"{suggestion(value, names)}')
    return RunOptions(
        jobs=options.jobs or _processors(),
        time_limit_s=options.time_limit,
        memory_limit_gib=options.memory_limit,
        python=python.absolute() if python else None,  # never resolved: a virtual environment's python is a link
        all_facts=options.facts,
        sandbox=options.sandbox,
        require_isolation=options.require_isolation,
        require_device=options.require_device,
        strict=options.strict,
    )


def _processors() -> int:
    """Return how many processors this process may use; only Linux tells that apart from how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def terminal_of(options: Options) -> Terminal:
    return make_terminal(options.color, progress=not options.no_progress, quiet=options.quiet, verbose=options.verbose)


def exit_code(report: RunReport) -> int:
    failures = internal_failures(report)
    for sentence in failures:
        complain(f"verify: {sentence}")
    if failures:
        return ExitCode.INTERNAL
    return ExitCode.PASS if report.verdict is Verdict.PASS else ExitCode.BLOCK
