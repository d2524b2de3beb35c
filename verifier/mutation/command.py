"""`verify mutate`: from options to an exit code."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.commands import Options, project_config, run_options, terminal_of
from verifier.errors import ExitCode, OutputError, UsageError
from verifier.git import commit_and_dirty
from verifier.mutation.dynamic_pass import course_of, run_all
from verifier.mutation.mutants import Mutant, mutants_of
from verifier.mutation.page import Mutated, as_json, as_markdown, summary
from verifier.mutation.running import Bench
from verifier.mutation.static_pass import known_by_reading, read_all
from verifier.nearest import suggestion
from verifier.plugins import load_plugins
from verifier.selection import rest_of_project, task_sources
from verifier.streams import complain, say
from verifier.terminal import watching
from verifier.writing.checksums import LIST, as_list
from verifier.writing.single_files import replace_files
from verifier.writing.whole_folder import replace_folder

if TYPE_CHECKING:
    from verifier.model.mutation import MutationOperator
    from verifier.model.task import Config, Task
    from verifier.mutation.judging import Known
    from verifier.mutation.results import Result
    from verifier.plugins import Plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What only this command is asked. `fail_under`: percent of the mutants that were reached."""

    static: bool = False
    every: bool = False
    operators: tuple[str, ...] = ()
    fail_under: float | None = None


def mutate(name: str, wanted: Wanted, options: Options) -> int:
    """Put hazards into a task, one at a time; write what catches each; return the exit code."""
    plugins = load_plugins()
    config = project_config(options.config_file, plugins)
    task = _task(config, name)
    chosen = _chosen(plugins, wanted.operators)
    sources = task_sources(config, task)
    commit, dirty = commit_and_dirty(config.root)
    mutants = mutants_of(sources, chosen)
    if not mutants:
        raise UsageError(
            f"task {name} has no place at which an AMP hazard could be put; see docs/mutants.md for the list"
        )
    asked = run_options(options, config)
    bench = Bench(
        task=task, config=config, sources=sources, plugins=plugins, options=dataclasses.replace(asked, jobs=1)
    )
    terminal = terminal_of(options)
    with watching(terminal, name) as observer:
        rest_of_project(config, sources)  # read once: every mutant is seen beside the same files
        known = known_by_reading(bench)
        if blocking := _blocking(known, mutants, bench):
            complain(f"verify: {blocking}")
            return ExitCode.BLOCK
        if terminal.progress and not terminal.quiet:
            complain(f"verify: {name}: reading {len(mutants)} mutants")
        results = read_all(bench, mutants, known, asked.jobs, observer.progress)
        if not wanted.static:
            results = _run(bench, results, wanted, options, observer.progress)
    mutated = Mutated(
        task=name, commit=commit, dirty=dirty, command=shlex.join(options.command), results=tuple(results)
    )
    _deliver(mutated, config.root, options)
    return _exit_code(mutated, wanted)


def _run(
    bench: Bench, results: list[Result], wanted: Wanted, options: Options, progress: Callable[[str], None]
) -> list[Result]:
    """Run the mutants that no rule has caught, or every one; those that are not run stay as they are."""
    todo = [item for item in results if wanted.every or item.survives]
    if not (bench.task.workloads or bench.task.scripts or bench.task.tests):
        raise UsageError(f"task {bench.task.name} has no tests, workloads or scripts to run mutants by; use --static")
    progress("running the task as it is")
    course = course_of(bench)
    if not options.quiet and not options.no_progress:
        complain(f"verify: {bench.task.name}: running {len(todo)} mutants")
    ran = {item.mutant.number: item for item in run_all(course, todo, options.jobs or 1, progress)}
    return [ran.get(item.mutant.number, item) for item in results]


def _task(config: Config, name: str) -> Task:
    if name not in config.tasks:
        raise UsageError(f'there is no task "{name}"{suggestion(name, config.tasks)}')
    return config.tasks[name]


def _chosen(plugins: Plugins, names: Sequence[str]) -> Sequence[MutationOperator]:
    known = {operator.name: operator for operator in plugins.mutations}
    if not known:
        raise UsageError("no plugin brings mutation operators; ours do, so this installation is older than its code")
    for name in names:
        if name not in known:
            raise UsageError(f'there is no mutation operator "{name}"{suggestion(name, known)}')
    return [known[name] for name in dict.fromkeys(names)] if names else plugins.mutations


def _blocking(known: Known, mutants: Sequence[Mutant], bench: Bench) -> str:
    """Return why the task is not clean enough to judge its mutants by; "" where it is."""
    families = frozenset[str]().union(*(mutant.families for mutant in mutants))
    found = [
        f"{rule} at {path}:{line}"
        for (rule, path, line), severity in known.findings.items()
        if rule[:3] in families and severity >= bench.config.block_at
    ]
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        f"task {bench.task.name} has hazards of its own ({', '.join(found[:3])}{more}); "
        "mend or excuse them first, as a mutant is judged by what is new in it"
    )


def _deliver(mutated: Mutated, root: Path, options: Options) -> None:
    if options.output == "-":
        say(as_json(mutated).rstrip("\n"))
        return
    folder = Path(options.output) if options.output else root / ".verify" / "mutation" / mutated.task
    files = {"mutation.json": as_json(mutated).encode(), "mutation.md": as_markdown(mutated).encode()}
    files[LIST] = as_list(files)
    try:
        if options.output or not replace_folder(files, folder):
            replace_files(files, folder, ours=False)
    except OSError as error:
        raise OutputError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    if not options.quiet:
        say(summary(mutated))
        say(f"report: {folder / 'mutation.md'}")


def _exit_code(mutated: Mutated, wanted: Wanted) -> int:
    score = list(mutated.figures.values())[-1].percent
    if wanted.fail_under is not None and (score is None or score < wanted.fail_under):
        seen = "none was reached" if score is None else f"{score} % of those that were reached were caught"
        complain(f"verify: {seen}; --fail-under asks for {wanted.fail_under:g} %")
        return ExitCode.BLOCK
    return ExitCode.PASS
