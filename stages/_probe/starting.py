"""What every probe of a run is given: the project, its interpreter, its isolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from amp_runtime.wire import ScriptUnit
from stages._probe.client import interpreter
from stages._probe.isolation import isolation_of
from stages._probe.work import Work

if TYPE_CHECKING:
    from verifier.api import Script, StageContext

TRAINING = ("torch", ".probes.optimizers")  # what every process that trains loads, before it is forked


def work_of(context: StageContext, **work: Any) -> Work:
    """Return what a probe runs, in the task's environment.

    Args:
        work: the fields of `Work` that say what is to be done.

    Raises:
        StageError: the interpreter that was configured does not exist.
    """
    return Work(
        root=context.root,
        python=interpreter(context.options.python or context.config.python, context.root),
        isolation=isolation_of(context),
        sources=(*(file.path for file in context.sources), *(script.file for script in context.task.scripts)),
        exclude=context.config.exclude,
        replaced={file.path: file.data for file in context.sources if file.is_replaced and file.data is not None},
        **work,
    )


def script_unit(script: Script, mode: Literal["fp32", "amp"], steps: int | None = None) -> ScriptUnit:
    """Return one run of a declared script, from the root: until its own end, or for so many training steps."""
    added = script.amp if mode == "amp" else script.fp32
    return ScriptUnit(
        target=script.module or script.file,
        shown=script.file,
        arguments=(*script.arguments, *added),
        folder="",
        module=bool(script.module),
        mode=mode,
        steps=steps,
    )
