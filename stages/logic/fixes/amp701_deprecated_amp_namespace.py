"""Writes names of torch.cuda.amp and torch.cpu.amp as those of torch.amp, the arguments by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.takers import taken_elsewhere
from stages.logic.mending import runs_with, view_of
from stages.logic.renaming import Renaming
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from stages.logic.view import View
    from verifier.api import Finding, FixContext

_SINCE = {"autocast": (1, 10), "GradScaler": (2, 3)}  # in torch.amp, with the device as an argument
_LATEST = (2, 4)


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    if view is None or read is None:
        return None
    renaming = Renaming(view, read)
    if not renaming.whole or taken_elsewhere(context, path, renaming.imported):
        return None
    return Repair(
        edits={path: tuple(renaming.edits)},
        what=f"writes {', '.join(sorted(renaming.names))} with torch.amp",
        safety="safe" if _is_there(view, renaming, context) else "unsafe",
    )


def _is_there(view: View, renaming: Renaming, context: FixContext) -> bool:
    """Say whether the torch that the file is to run with is known to have the new names."""
    needed = max(_SINCE.get(name.rpartition(".")[2], _LATEST) for name in renaming.names)
    return runs_with(view, needed, context) is True


FIX = Fix(
    rule="AMP701",
    safety="safe",
    summary="Writes the new names, the device first and every other argument by keyword, imports included.",
    repair=_repair,
    declines=(
        "another file takes the old name from this one, the name is passed on as a value or subclassed, or arguments"
        " are passed by `*`; unsafe where neither the project nor the installed torch says that the new names exist"
    ),
)
