"""AMP222: a float64 tensor goes into a layer under autocast, which does not cast float64."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.wanted import Wanted
from stages.logic.half_values import is_half
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP222",
    name="float64-under-autocast",
    severity=Severity.MEDIUM,
    summary="A float64 tensor goes into a layer under autocast, which does not cast float64.",
    why=(
        "Autocast casts fp32 and half tensors only. A tensor made of a NumPy array of doubles stays float64 while the"
        " layer's weights become half, and the product raises: mat1 and mat2 must have the same dtype."
    ),
    mode="both",
    examples=(
        Bad("""
            import numpy as np
            import torch

            def run(n):
                layer = torch.nn.Linear(8, 2)
                x = torch.from_numpy(np.random.rand(n, 8)).cuda()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    return layer(x)  # expect: AMP222
        """),
        Bad("""
            import torch

            def run(x, w):
                wide = x.double()
                with torch.autocast("cuda", dtype=torch.float16):
                    return torch.matmul(wide, w)  # expect: AMP222
        """),
        Good("""
            import numpy as np
            import torch

            def run(n, images):
                layer = torch.nn.Linear(8, 2)
                x = torch.from_numpy(np.random.rand(n, 8)).float().cuda()
                y = torch.from_numpy(images)
                wide = x.double()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    first = layer(x) + layer(y)
                    return first + layer(wide.float())
        """),
    ),
)
_DOUBLES = frozenset(["rand", "randn", "random", "normal", "uniform", "linspace", "zeros", "ones"])
_KEEP = frozenset(["cuda", "cpu", "to", "unsqueeze", "squeeze", "view", "reshape", "contiguous", "detach", "clone"])


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report matrix products whose first operand is float64 for sure."""
    regions = Regions(view)
    for seen in view.calls() if regions.all() else ():
        call = seen.node
        assert isinstance(call, ast.Call)
        if not call.args or not isinstance(call.args[0], ast.Name) or not _is_double(view, call.args[0], seen.scope):
            continue
        region = regions.around(call)
        if region is None or region.off or not is_half(view.project, call, seen.scope):
            continue
        yield Problem(
            place=view.place(call),
            message=f"`{call.args[0].id}` is float64, which autocast does not cast",
            why="It meets half weights and raises RuntimeError: mat1 and mat2 must have the same dtype.",
            remedy="Write `.float()` where the tensor is made.",
            related=((view.place(region.call), "autocast is entered"),),
        )


def _is_double(view: View, name: ast.Name, scope: Scope) -> bool:
    bindings = scope.bindings.get(name.id, [])
    return len(bindings) == 1 and bindings[0].value is not None and _makes_double(view, bindings[0].value, scope)


def _makes_double(view: View, node: ast.expr, scope: Scope) -> bool:
    """Say whether an expression makes a float64 tensor: `.double()`, a float64 literal type, or NumPy's default."""
    match node:
        case ast.Call(func=ast.Attribute(attr="double"), args=[]):
            return True
        case ast.Call(func=ast.Attribute(attr="to"), args=[argument]) if _is_float64(argument):
            return True
        case ast.Call(func=func, args=[array, *_]) if "torch.from_numpy" in view.origins(func, scope):
            return _is_array_of_doubles(view, array, scope)
        case ast.Call(func=ast.Attribute(value=inner, attr=method), args=args, keywords=keywords) if method in _KEEP:
            parts = [*args, *(keyword.value for keyword in keywords)]
            changes = any("dtype" in ast.unparse(part) or last_name(part).startswith(_TYPES) for part in parts)
            return not changes and _makes_double(view, inner, scope)
    return False


_TYPES = ("float", "half", "bfloat", "int", "long", "bool", "double")


def _is_float64(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("float64", "double")


def _is_array_of_doubles(view: View, node: ast.expr, scope: Scope) -> bool:
    if not isinstance(node, ast.Call) or any(keyword.arg == "dtype" for keyword in node.keywords):
        return False
    called = view.origins(node.func, scope)
    return any(name.startswith("numpy.") and name.rpartition(".")[2] in _DOUBLES for name in called)
