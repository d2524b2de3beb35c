"""AMP215: a bfloat16 tensor that an autocast region made is turned into a NumPy array."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.half_values import half_values, uses_after
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP215",
    name="half-output-escapes",
    severity=Severity.MEDIUM,
    summary="A bfloat16 tensor of an autocast region is turned into a NumPy array.",
    why=(
        "What matrix products return under autocast stays in half behind the region. NumPy has no bfloat16, so"
        " `.numpy()` raises TypeError there, often only in the evaluation at the end of an epoch."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def evaluate(loader):
                net = torch.nn.Linear(8, 2)
                found = []
                for x in loader:
                    with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):
                        out = net(x)
                    found.append(out.cpu().numpy())  # expect: AMP215
                return found
        """),
        Bad("""
            import torch

            def predict(model, x):
                with torch.inference_mode(), torch.autocast("cpu"):
                    scores = model(x)
                return scores.numpy()  # expect: AMP215
        """),
        Good("""
            import torch

            def evaluate(loader):
                net = torch.nn.Linear(8, 2)
                found = []
                for x in loader:
                    with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):
                        out = net(x)
                    found.append(out.float().cpu().numpy())
                    found.append(out.argmax(-1).cpu().numpy())
                return found

            def in_float16(net, x):
                with torch.autocast("cuda", dtype=torch.float16):
                    out = net(x)
                return out.cpu().numpy()
        """),
    ),
)
_KEEP = frozenset(["cpu", "detach", "squeeze", "flatten", "numpy", "contiguous", "clone", "view", "reshape"])


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report `.numpy()` of such a value; one of a model whose output type is not in sight is a suspicion."""
    regions = Regions(view)
    for region in regions.all():
        if region.dtype != "bfloat16":
            continue
        for value in half_values(view, region, regions):
            for use in uses_after(view, value):
                call = _numpy_of(view, use)
                if call is not None:
                    yield Problem(
                        place=view.place(call),
                        message=f"`{value.name}` is bfloat16 from its autocast region, and NumPy has no such type",
                        why="`.numpy()` raises TypeError: unsupported ScalarType BFloat16.",
                        remedy=f"Write `{value.name}.float()` before `.numpy()`.",
                        related=((view.place(value.made), f"`{value.name}` is made under autocast"),),
                        suspicion=not value.certain,
                    )


def _numpy_of(view: View, node: ast.expr) -> ast.Call | None:
    """Return the call of `.numpy()` at the end of a chain of calls that keep the type."""
    link: ast.AST | None = node
    while link is not None:
        attribute = view.parent(link)
        call = view.parent(attribute) if isinstance(attribute, ast.Attribute) else None
        if not isinstance(attribute, ast.Attribute) or not isinstance(call, ast.Call) or call.func is not attribute:
            return None
        if attribute.attr not in _KEEP:
            return None
        if attribute.attr == "numpy":
            return call
        link = call
    return None
