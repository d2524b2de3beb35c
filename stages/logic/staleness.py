"""Decides whether weights that autocast cached were stepped and then used again in the same context."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.engine.contexts import autocasting, outermost
from stages.logic.masters import have_no_cached_casts, may_be_low
from stages.logic.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.events import Backward
    from stages.logic.engine.state import Active

_WHY = (
    "Autocast keeps the half copies of the weights until its outermost context is left, so every later forward in it"
    " computes with the weights from before the first step. Nothing raises, and the loss that is shown is the old"
    " weights' own."
)


def stale_context(event: Backward) -> Active | None:
    """Return the context that a backward repeats in after an optimizer stepped there: a later turn of a loop."""
    active = outermost(event.state)
    if active is None or active.stepped_at is None or event.place not in active.backwards:
        return None
    inner = autocasting(event.state)
    if inner is None or not getattr(inner.context, "cached", False) or have_no_cached_casts(event.state):
        return None
    return active


def stale_weights(event: Backward, made_by: str, *, framework: bool) -> Iterator[Problem]:
    """Report a context around several training steps.

    Args:
        made_by: how the context is spelled in the remedy.
        framework: whether contexts of frameworks are asked about, or torch's own.
    """
    active = stale_context(event)
    if active is None or getattr(active.context, "framework", False) is not framework:
        return
    assert active.stepped_at is not None
    yield Problem(
        place=active.place,
        message="one autocast context spans several optimizer steps, so later forwards use the weights it cached first",
        why=_WHY,
        remedy=f"Open `with {made_by}:` inside the loop, around each forward and its loss only.",
        related=(
            (active.stepped_at, "the optimizer steps"),
            (event.place, "backward of a later turn, in the same context"),
        ),
        suspicion=may_be_low(event.place.module) or _only_inputs_are_stepped(event),
    )


def _only_inputs_are_stepped(event: Backward) -> bool:
    """Say whether every optimizer on the path was made of a list of single tensors, which no layer may hold."""
    sites = [optimizer.site for optimizer in event.state.known.values()]
    return bool(sites) and all(isinstance(site, ast.Call) and _lists_tensors(site) for site in sites)


def _lists_tensors(site: ast.Call) -> bool:
    first = site.args[0] if site.args else None
    return isinstance(first, ast.List | ast.Tuple) and all(
        isinstance(item, ast.Name | ast.Attribute) for item in first.elts
    )
