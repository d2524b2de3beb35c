"""Which scripts a task runs: the one of `verify run`, or those it declares, each in FP32 and under AMP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from amp_runtime.wire import ScriptUnit
from stages._probe.starting import script_unit
from verifier.api import Location

if TYPE_CHECKING:
    from verifier.api import Program, Script, StageContext


def scripts_of(context: StageContext) -> list[tuple[ScriptUnit, Location]]:
    """Return each run of a script, and where the script is written."""
    task = context.task
    if task.program is not None:
        return [_of_program(task.program, context)]
    return [run for script in task.scripts for run in _of_script(script)]


def _of_program(program: Program, context: StageContext) -> tuple[ScriptUnit, Location]:
    target = program.target if program.module else _below(Path(program.target), context.root)
    unit = ScriptUnit(
        target=target,
        shown=program.shown,
        arguments=program.arguments,
        folder=_below(program.folder, context.root),
        module=program.module,
        steps=program.steps,
        emulate=program.emulate,
    )
    if program.module:
        return unit, Location(path=context.sources.files[0].path if context.sources.files else ".")
    return unit, Location(path=target)


def _of_script(script: Script) -> list[tuple[ScriptUnit, Location]]:
    modes: tuple[Literal["fp32", "amp"], ...] = ("fp32", "amp")
    return [(script_unit(script, mode), Location(path=script.file)) for mode in modes]


def _below(path: Path, root: Path) -> str:
    """Return a path relative to the root where it lies below it, and a link by its own name, as Python does."""
    real = Path(os.path.realpath(path.parent), path.name) if path.name else path
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else str(real)
