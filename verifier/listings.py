"""What the commands say that judge nothing: tasks, stages, a first configuration, this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verifier.app import select_stages, verify
from verifier.commands import load_for, project_config
from verifier.config import find_root
from verifier.errors import VerifierError
from verifier.model.report import Verdict
from verifier.model.stage import RunOptions
from verifier.plugins import load_plugins
from verifier.selection import MARKERS, task_sources
from verifier.streams import complain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.model.finding import Finding
    from verifier.model.task import Config
    from verifier.plugins import Plugins
BASELINE = "verify-baseline.json"


def init(*, dry_run: bool) -> str:
    """Write a first configuration at the root of the project, or only return what would be added."""
    from verifier import first_config  # noqa: PLC0415 - only this command needs it

    plugins = load_plugins()
    root = find_root(Path.cwd(), markers=MARKERS) or Path.cwd()
    first = first_config.propose(root, plugins)
    if dry_run:
        complain(f"verify: would write {first.path}")
        return first.added.rstrip("\n")
    first_config.write(first, plugins)
    return "\n".join([first_config.described(first), *_first_look(plugins, first.path)])


def _first_look(plugins: Plugins, path: Path) -> list[str]:
    """Say what the stages that only read find; where that blocks, how to begin from there."""
    from verifier import first_config  # noqa: PLC0415

    config = load_for(path.parent, None, plugins)
    task = config.tasks[first_config.TASK]
    selection = select_stages(plugins, static_stages(), reason="`verify init` runs no code")
    sources = task_sources(config, task)
    report = verify(task, config, sources, plugins, selection, RunOptions(), command=("verify", "init"))
    found = [item for stage in report.stages for item in stage.findings]
    blocking = sum(item.blocking for item in found)
    lines = [
        "",
        f"first look, by reading only: {report.verdict} {report.score}/100, {blocking} of {len(found)} findings block",
    ]
    absent = _absent(item.finding for item in found)
    if absent:
        lines.append(f"  not installed here: {', '.join(absent[:8])}{' and more' if len(absent) > 8 else ''}")
        lines.append(
            "  what runs the code needs them: install them beside verify, or name the interpreter that has them,"
        )
        lines.append(f'  `--python PATH` or python = "PATH" in {path.name}')
    if report.verdict is Verdict.BLOCK:
        lines.append("  a merge gate can begin from here, and block only what is new:")
        lines.append(f'  verify {task.name} --baseline {BASELINE} --update-baseline "found on adoption"')
        lines.append(f"  then commit {BASELINE}, and give --baseline {BASELINE} in CI")
    return lines


def _absent(found: Iterable[Finding]) -> list[str]:
    """Return the packages that the code imports, that it can do nothing without, and that were not found here."""
    needed = {item.symbol for item in found if item.rule == "IMP002" and not item.message.endswith("is optional")}
    return sorted(name for name in needed if name and "." not in name)


def doctor(config_file: Path | None, python: Path | None) -> tuple[str, int]:
    """Return what this machine can verify, and the exit code that follows."""
    from verifier.doctor import described, examine  # noqa: PLC0415 - only this command needs it

    def load(plugins: Plugins) -> Config:
        return load_for(find_root(Path.cwd()) or Path.cwd(), config_file, plugins)

    examination = examine(load_plugins, load, python.absolute() if python else None)
    return described(examination), examination.exit_code


def list_tasks(config_file: Path | None) -> str:
    config = project_config(config_file, load_plugins())
    rows = [f"{task.name:12s} {task.title}" for task in config.tasks.values()]
    return "\n".join(rows) if rows else f"no tasks in {config.path or config.root}"


def task_names() -> tuple[str, ...]:
    """Return the tasks of the project; none where there is no configuration, or one that is wrong."""
    try:
        return tuple(project_config(None, load_plugins()).tasks)
    except VerifierError:
        return ()


def list_stages() -> str:
    plugins = load_plugins()
    lines = []
    for stage in plugins.stages:
        does = "runs the code" if stage.runs_code else "reads only"
        origin = plugins.stage_origin.get(stage.name)
        lines.append(f"{stage.number} {stage.name:12s} {does}: {stage.summary}{f' (from {origin})' if origin else ''}")
        lines += [f"    {name:18s} {requirement}" for name, requirement in stage.gates.items()]
    return "\n".join(lines)


def static_stages() -> tuple[str, ...]:
    """Return the names of the stages that run no code."""
    return tuple(stage.name for stage in load_plugins().stages if not stage.runs_code)
