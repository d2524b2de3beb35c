"""Decides what a reader is told to do about a cycle: which imports to make lazy, or why none can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.syntax.imports.drawings import printable
from verifier.api import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.syntax.imports.laziness import Proposal
    from stages.syntax.imports.movable import FixedImport, LazyImport
    from verifier.api import Json

_TOLD = 3
_WIDTH = 80
_THIRD = "move what both sides need into a third module"


def remedy(proposal: Proposal | None) -> str:
    """Return what to do, in a few sentences."""
    if proposal is None or proposal.outcome == "too large":
        return f"Make an import of the cycle lazy, or {_THIRD}; too many modules are tied together to try out which."
    if proposal.make_lazy:
        return _proposed(proposal)
    if proposal.outcome == "nothing can move":
        return f"No import of the cycle can be made lazy as the code is: {_reasons(proposal.fixed)}. Instead, {_THIRD}."
    if proposal.outcome == "budget":
        return f"No small set of imports to make lazy was found within the simulations allowed; {_THIRD}."
    why = f" ({_reasons(proposal.fixed)})" if proposal.fixed else ""
    could = "The one import that can be made lazy is not enough" if proposal.candidates == 1 else (
        f"{proposal.candidates} imports can be made lazy, but no set of up to three that was simulated is enough"
    )  # fmt: skip
    return f"{could}{why}; {_THIRD}."


def proved(proposal: Proposal | None) -> tuple[Evidence, ...]:
    """Return what the simulation of the proposal showed; nothing where there is none."""
    if proposal is None or not proposal.make_lazy:
        return ()
    made: list[Json] = [
        {
            "path": item.path,
            "line": item.line,
            "statement": item.statement,
            "functions": list(item.functions),
            "annotated": item.annotated,
        }
        for item in proposal.make_lazy
    ]
    what = "this import" if len(made) == 1 else f"these {len(made)} imports"
    return (
        Evidence(
            kind="simulation",
            summary=(
                f"With {what} made lazy, module initialisation was simulated from {proposal.entries} "
                f"{'module' if proposal.entries == 1 else 'modules'} again: none fails because of this cycle."
            ),
            data={"make_lazy": made, "then_fails_from": []},
        ),
    )


def _proposed(proposal: Proposal) -> str:
    steps = "; ".join(f"`{printable(item.statement)}` ({item.path}:{item.line}): {_where(item)}"
                      for item in proposal.make_lazy)  # fmt: skip
    count = len(proposal.make_lazy)
    head = "Make this import lazy" if count == 1 else f"Make these {count} imports lazy, together"
    return f"{head}: {steps}. Simulated so, no module fails because of this cycle. Or {_THIRD}."


def _where(item: LazyImport) -> str:
    if item.functions:
        names = [f"{name}()" for name in item.functions]
        into = " and ".join(names) if len(names) <= _TOLD else f"the {len(names)} functions that use it"
        also = ", and keep it below `if TYPE_CHECKING:` for the annotations" if item.annotated else ""
        return f"move it into {into}{also}"
    if item.annotated:
        return "move it below `if TYPE_CHECKING:`, because only annotations use it"
    return "nothing in its module uses what it binds; remove it, or import it where its effect is needed"


def _reasons(fixed: Sequence[FixedImport]) -> str:
    told = [f"`{_short(item.statement)}` ({item.path}:{item.line}), because {item.reason}" for item in fixed[:_TOLD]]
    more = len(fixed) - _TOLD
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _short(statement: str) -> str:
    text = printable(statement)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."
