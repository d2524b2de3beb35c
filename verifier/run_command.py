"""`verify run`: any training script, unmodified, under the AMP sanitizer."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.app import Selection, select_stages
from verifier.chosen_rules import choose_rules
from verifier.commands import Runner, delivered, is_to_stdout, load_for, ratchet_of, terminal_of
from verifier.errors import UsageError
from verifier.model.task import Program, Task
from verifier.output import DEFAULT_FORMATS, parse_formats
from verifier.plugins import Plugins, load_plugins
from verifier.selection import check_root, is_absent, script_sources

if TYPE_CHECKING:
    from verifier.commands import Options

RUN_STAGE = "integration"
_LAUNCHERS = ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch")


def run_script(
    script: str, arguments: tuple[str, ...], *, steps: int | None, emulate: bool, module: bool, options: Options
) -> int:
    """Run a training script under the sanitizer, and return the exit code."""
    plugins = load_plugins()
    target = Path(script)
    if not module and is_absent(target):
        raise UsageError(f"{script}: there is no such script; for a module write `verify run -m NAME`")
    if not module and not target.is_file():
        raise UsageError(f"{script}: it is no file; name the script that trains")
    start = Path.cwd() if module else target
    config = load_for(check_root([start]), options.config_file, plugins)
    program = Program(
        target=script if module else os.path.abspath(script),  # noqa: PTH100 - a link stays a link, as for Python
        shown=script,
        arguments=arguments,
        folder=Path.cwd(),
        module=module,
        steps=steps,
        emulate=emulate,
    )
    sources = script_sources(config, start)
    task = Task(
        name=_task_name(script, arguments, module=module),
        title=shlex.join((script, *arguments)),
        files=tuple(file.path for file in sources),
        program=program,
    )
    formats = parse_formats(options.formats or DEFAULT_FORMATS, plugins.renderers)
    runner = Runner(
        config=config,
        plugins=plugins,
        selection=dataclasses.replace(
            _selection_of_run(plugins, options), accepted=ratchet_of(options, config, plugins)
        ),
        options=options,
        terminal=terminal_of(options),
        live=True,
    )
    is_to_stdout(options, formats)  # refused before anything runs
    return delivered(runner, runner.run(task, sources), formats)


def _selection_of_run(plugins: Plugins, options: Options) -> Selection:
    for name in options.stage:
        if name not in (RUN_STAGE, "3"):
            raise UsageError(f"`verify run` has one stage, {RUN_STAGE}; leave out --stage {name}")
    selection = select_stages(plugins, (RUN_STAGE,), reason="`verify run` only runs the script")
    chosen = choose_rules(plugins, selection.stages, options.select, options.ignore)
    return dataclasses.replace(selection, rules=chosen)


def _task_name(script: str, arguments: tuple[str, ...], *, module: bool) -> str:
    """Return a name for the report of a script that can stand in a path; a launcher lends its name to nobody."""
    if module and script in _LAUNCHERS:
        started = next((word for word in arguments if word.endswith(".py") and Path(word).is_file()), None)
        script, module = started or script, not started
    stem = script.rpartition(".")[2] if module else Path(script).stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.") or "script"
