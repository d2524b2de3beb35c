"""MOD103: a function turns gradients off for everybody and does not turn them on again on every way out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.blocks import always_after, around
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD103",
    name="grad-mode-left-off",
    severity=Severity.MEDIUM,
    summary="A function turns gradients off for everybody and does not turn them on again on every way out.",
    why=(
        "`torch.set_grad_enabled(False)` as a statement holds until somebody turns it on again, in every function that"
        " runs later in the thread. What trains after that raises that nothing requires gradients, or, where a part"
        " still has some, trains that part only."
    ),
    examples=(
        Bad("""
            import torch

            def score(model, batch):
                torch.set_grad_enabled(False)
                out = model(batch)
                if out.isnan().any():
                    return None  # expect: MOD103
                torch.set_grad_enabled(True)
                return out.mean()
        """),
        Good("""
            import torch

            def score(model, batch):
                with torch.set_grad_enabled(False):
                    out = model(batch)
                    if out.isnan().any():
                        return None
                return out.mean()

            def other(model, batch):
                before = torch.is_grad_enabled()
                torch.set_grad_enabled(False)
                try:
                    return model(batch)
                finally:
                    torch.set_grad_enabled(before)

            def third(model, batch):
                torch.set_grad_enabled(False)
                out = model(batch)
                torch.set_grad_enabled(True)
                return out
        """),
    ),
)
WANTED = Wanted(every=(b"set_grad_enabled(False)",))


def look(view: View) -> Iterator[Problem]:
    """Report returns between turning off and turning on, in functions that do both."""
    for node, scope in view.module.scopes.scopes.items():
        if not isinstance(node, Function):
            continue
        own = sorted(
            own_nodes(node.body), key=lambda item: (getattr(item, "lineno", 0), getattr(item, "col_offset", 0))
        )
        calls = [item.value for item in own if isinstance(item, ast.Expr) and isinstance(item.value, ast.Call)]
        setting = [call for call in calls if "torch.set_grad_enabled" in view.origins(call.func, scope) and call.args]
        offs = [call for call in setting if ast.unparse(call.args[0]) == "False"]
        ons = [call for call in setting if call not in offs]
        if not offs or not ons or any(_in_final(view, call) for call in ons):
            continue
        for item in own:
            if isinstance(item, ast.Return) and _is_off(view, item, offs, ons):
                yield Problem(
                    place=view.place(item),
                    message="gradients are still off where this returns",
                    remedy="Write `with torch.no_grad():` around what needs no gradients.",
                    related=((view.place(offs[0]), "turned off here"),),
                )


def _is_off(view: View, item: ast.Return, offs: list[ast.Call], ons: list[ast.Call]) -> bool:
    off = next((call for call in reversed(offs) if always_after(view, call, item)), None)
    if off is None:
        return False
    later = [call for call in ons if call.lineno > off.lineno]
    return any(call.lineno > item.lineno for call in later) and not any(call.lineno < item.lineno for call in later)


def _in_final(view: View, node: ast.AST) -> bool:
    inner = node
    for outer in around(view, node):
        if isinstance(outer, ast.Try) and inner in outer.finalbody:
            return True
        inner = outer
    return False
