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
    there = _is_there(view, renaming, context)
    if there is False:
        return None
    return Repair(
        edits={path: tuple(renaming.edits)},
        what=f"writes {', '.join(sorted(renaming.names))} with torch.amp",
        safety="safe" if there else "unsafe",
    )


def _is_there(view: View, renaming: Renaming, context: FixContext) -> bool | None:
    """Say whether the torch that the file is to run with has the new names; None where nothing tells."""
    needed = max(_SINCE.get(name.rpartition(".")[2], _LATEST) for name in renaming.names)
    return runs_with(view, needed, context)


FIX = Fix(
    rule="AMP701",
    safety="safe",
    summary="Writes the new names, the device first and every other argument by keyword, imports included.",
    repair=_repair,
    declines=(
        "another file takes the old name from this one, the name is passed on as a value or subclassed, arguments are"
        " passed by `*`, or the project admits a torch without the new names; unsafe where neither the project nor the"
        " installed torch says which one it is"
    ),
    reveals=("AMP209",),  # a device that is fixed although another may be chosen: it was fixed by the old name as well
)
