"""AMP219: a matrix product writes into a given tensor under autocast, which casts no such calls."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP219",
    name="inplace-bypasses-autocast",
    severity=Severity.MEDIUM,
    summary="A matrix product writes into a given tensor under autocast, which casts no such calls.",
    why=(
        "Autocast leaves in-place methods and calls with `out=` alone. On fp32 tensors the product silently runs at"
        " full cost; where one operand is already half, it raises on the mixed types."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def project(x, w, bias, out):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    bias.addmm_(x, w)  # expect: AMP219
                    torch.matmul(x, w, out=out)  # expect: AMP219
                return bias, out
        """),
        Good("""
            import torch

            def project(x, w, bias, out):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    first = torch.addmm(bias, x, w)
                    torch.add(first, 1, out=out)
                    with torch.autocast("cuda", enabled=False):
                        bias.addmm_(x, w)
                torch.mm(x, w, out=out)
                return first, bias, out
        """),
    ),
)
_IN_PLACE = frozenset(["addmm_", "addbmm_", "baddbmm_", "addmv_", "addr_"])
_PRODUCTS = frozenset(f"torch.{name}" for name in ("mm", "bmm", "matmul", "addmm", "addbmm", "baddbmm", "addmv", "mv"))


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report such calls in regions that are on."""
    regions = Regions(view)
    for seen in view.calls() if regions.all() else ():
        name = _bypassing(view, seen)
        region = regions.around(seen.node) if name else None
        if region is None or region.off:
            continue
        yield Problem(
            place=view.place(seen.node),
            message=f"{name} is not autocast: it runs in the types it gets",
            why="The product runs in fp32, or raises where its operands differ in type.",
            remedy="Use the form that returns a new tensor.",
            related=((view.place(region.call), "autocast is entered"),),
        )


def _bypassing(view: View, seen: Seen) -> str:
    """Return how such a call is spelled; nothing for any other."""
    call = seen.node
    assert isinstance(call, ast.Call)
    if isinstance(call.func, ast.Attribute) and call.func.attr in _IN_PLACE:
        return f"`{call.func.attr}`"
    if not any(keyword.arg == "out" for keyword in call.keywords):
        return ""
    found = view.origins(call.func, seen.scope) & _PRODUCTS
    return f"`{min(found)}(out=...)`" if found else ""
