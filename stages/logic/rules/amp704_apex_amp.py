"""AMP704: a file uses apex's amp, which torch.amp has replaced."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.guards import optional_import
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP704",
    name="apex-amp",
    severity=Severity.MEDIUM,
    summary="A file uses apex's amp, which torch.amp has replaced.",
    why=(
        "apex.amp patches torch's functions in place and is no longer maintained: it misses every operator that is"
        " newer than it, and does not work with torch.compile or current distributed wrappers."
    ),
    mode="static",
    unseen="An import is in the text, and a run adds nothing to it.",
    examples=(
        Bad("""
            import torch
            from apex import amp  # expect: AMP704

            def train(model, loader, optimizer):
                model, optimizer = amp.initialize(model, optimizer, opt_level="O1")
                for batch in loader:
                    with amp.scale_loss(model(batch), optimizer) as scaled_loss:
                        scaled_loss.backward()
                    optimizer.step()
        """),
        Bad("""
            import torch

            try:
                import apex.amp as amp  # expect: AMP704
            except ImportError:
                amp = None
        """),
        Good("""
            import torch
            from apex.normalization import FusedLayerNorm
            from apex.parallel import DistributedDataParallel
            from torch import amp

            scaler = amp.GradScaler("cuda")
        """),
    ),
)


READS = Wanted(every=(b"apex",))


def inspect(view: View) -> Iterator[Problem]:
    """Report a file once, at its first import of apex.amp; LOW where it only tries whether apex is there."""
    found = sorted(_imports(view) + _uses(view), key=lambda node: (node.lineno, node.col_offset))
    if not found:
        return
    yield Problem(
        place=view.place(found[0]),
        message="apex.amp is superseded by torch.amp",
        why="It is no longer maintained; what torch has added since is not cast, or cast wrongly.",
        remedy='Use `torch.autocast("cuda")` around the forward and a `torch.amp.GradScaler("cuda")` for the backward.',
        severity=Severity.LOW if all(optional_import(view, node) for node in _imports(view)) else None,
    )


def _imports(view: View) -> list[ast.stmt | ast.expr]:
    found: dict[ast.stmt | ast.expr, None] = {}
    for scope in view.module.scopes.scopes.values():
        for bindings in scope.bindings.values():
            for binding in bindings:
                if binding.how == "import" and _is_apex(binding.origin) and isinstance(binding.node, ast.stmt):
                    found[binding.node] = None
    return list(found)


def _uses(view: View) -> list[ast.stmt | ast.expr]:
    """Return where `apex.amp` is written out."""
    return [
        seen.node
        for seen in view.module.scopes.loads
        if isinstance(seen.node, ast.Attribute)
        and seen.node.attr == "amp"
        and any(_is_apex(name) for name in view.origins(seen.node, seen.scope))
    ]


def _is_apex(origin: str) -> bool:
    return origin == "apex.amp" or origin.startswith("apex.amp.")
