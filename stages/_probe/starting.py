"""What every probe of a run is given: the project, its interpreter, its isolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages._probe.client import interpreter
from stages._probe.isolation import isolation_of
from stages._probe.work import Work

if TYPE_CHECKING:
    from verifier.api import StageContext


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
        sources=(*(file.path for file in context.sources), *(script.run[0] for script in context.task.scripts)),
        exclude=context.config.exclude,
        replaced={file.path: file.data for file in context.sources if file.is_replaced and file.data is not None},
        **work,
    )
