"""Decides under which autocast a `with` block or a decorated function runs."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.origins import origins, resolve_bindings
from stages.logic.dtypes.known import Region

if TYPE_CHECKING:
    from stages._source.program.project import Project
    from stages._source.program.scopes import Function, Scope

_DEEPEST = 4
_OFF = late(r"(?:disable|without|no)_?(?:auto_?cast|amp|casts?$)", re.I)
_DEFAULTS = {"cpu": "bfloat16", "hpu": "bfloat16"}  # every other device: float16


def region_of(project: Project, expr: ast.expr, scope: Scope, depth: int = 0) -> Region | None:
    """Return the autocast that entering `expr` brings; None where it is no autocast context."""
    if depth > _DEEPEST:
        return None
    match expr:
        case ast.Call() if _turns_off(expr):
            return Region("off", expr)
        case ast.Call() if vocabulary.names_autocast(called := origins(project, expr.func, scope)):
            return _made(project, expr, called, scope)
        case ast.IfExp(body=body, orelse=orelse):
            return _first(project, [body, orelse], scope, depth)
        case ast.Name() | ast.Attribute():
            values = [
                (binding.value, binding.scope)
                for binding in resolve_bindings(project, expr, scope)
                if binding.how == "value" and binding.value is not None
            ]
            found = [region for value, where in values if (region := region_of(project, value, where, depth + 1))]
            return next((region for region in found if region.low), found[0] if found else None)
    return None


def _turns_off(call: ast.Call) -> bool:
    """Say whether a context turns autocast off by its name, as frameworks wrap it: `maybe_autocast(enabled=False)`."""
    name = last_name(call.func)
    if _OFF.search(name):
        return True
    return "autocast" in name and any(
        item.arg == "enabled" and isinstance(item.value, ast.Constant) and not item.value.value
        for item in call.keywords
    )


def decorated(project: Project, node: Function, scope: Scope) -> Region | None:
    """Return the autocast that a decorator puts around a function; the innermost one counts."""
    outer = scope.parent if scope.parent is not None else scope
    for item in reversed(node.decorator_list):
        called = item.func if isinstance(item, ast.Call) else item
        names = origins(project, called, outer)
        if any(name.rpartition(".")[2] in ("custom_fwd", "custom_bwd", "force_fp32") for name in names):
            return Region("off", item)
        region = region_of(project, item, outer)
        if region is not None:
            return region
    return None


def _first(project: Project, exprs: list[ast.expr], scope: Scope, depth: int) -> Region | None:
    found = [region for expr in exprs if (region := region_of(project, expr, scope, depth + 1)) is not None]
    return next((region for region in found if region.low), found[0] if found else None)


def _made(project: Project, call: ast.Call, called: frozenset[str], scope: Scope) -> Region:
    old = any(name.startswith(("torch.cuda.", "torch.cpu.", "torch.xpu.")) for name in called)
    order = ("enabled", "dtype") if old else ("device_type", "dtype", "enabled")
    given: dict[str, ast.expr] = dict(zip(order, call.args, strict=False))
    given |= {item.arg: item.value for item in call.keywords if item.arg is not None}
    enabled = given.get("enabled")
    if isinstance(enabled, ast.Constant) and not enabled.value:
        return Region("off", call)
    if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
        return Region("low", call)
    dtype = given.get("dtype")
    if dtype is None or (isinstance(dtype, ast.Constant) and dtype.value is None):
        if any(name.startswith("torch.cpu.") for name in called):
            return Region("bfloat16", call)
        device = given.get("device_type")
        literal = device.value if isinstance(device, ast.Constant) and isinstance(device.value, str) else "cuda"
        return Region("bfloat16" if literal in _DEFAULTS else "float16", call)
    names = {name.rpartition(".")[2] for name in origins(project, dtype, scope) if name.startswith("torch.")}
    if names <= {"float16", "half"} and names:
        return Region("float16", call)
    if names == {"bfloat16"}:
        return Region("bfloat16", call)
    if names and names <= {"float32", "float", "float64", "double"}:
        return Region("off", call)
    return Region("low", call)
