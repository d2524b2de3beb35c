"""Decides which expressions of a file stand for torch's autocast itself, and which calls make one."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

_CLASS = late(r"torch(?:\.amp|\.(?:cuda|cpu|xpu|mps)\.amp)?(?:\.autocast_mode)?\.autocast")
_OWN = late(r"torch\.(cuda|cpu|xpu|mps)\.")


def is_autocast_class(view: View, node: ast.expr, scope: Scope) -> bool:
    """Say whether an expression is torch's autocast class on every branch that binds it, stand-ins for it aside."""
    return _are_autocast(view.origins(node, scope))


@cache  # every call of every file is asked about, by several rules
def _are_autocast(names: frozenset[str]) -> bool:
    own = any(_CLASS.fullmatch(name) for name in names)
    return own and all(name.rpartition(".")[2] == "autocast" for name in names)


def made_contexts(view: View) -> Iterator[Seen]:
    """Yield the calls that make an autocast context of torch's own."""
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and is_autocast_class(view, seen.node.func, seen.scope):
            yield seen


def argument(view: View, seen: Seen, name: str) -> ast.expr | None:
    """Return what a call that makes a context passes for a parameter of that name, by the signature it calls."""
    call = seen.node
    assert isinstance(call, ast.Call)
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    own = any(_OWN.match(origin) for origin in view.origins(call.func, seen.scope))
    order = ("enabled", "dtype", "cache_enabled") if own else ("device_type", "dtype", "enabled", "cache_enabled")
    if name not in order or any(isinstance(item, ast.Starred) for item in call.args):
        return None
    position = order.index(name)
    return call.args[position] if position < len(call.args) else None


def device_of(view: View, seen: Seen) -> str | None:
    """Return the device type that a context is for, where the code says it literally."""
    call = seen.node
    assert isinstance(call, ast.Call)
    for origin in view.origins(call.func, seen.scope):
        if found := _OWN.match(origin):
            return found.group(1)
    device = argument(view, seen, "device_type")
    if isinstance(device, ast.Constant) and isinstance(device.value, str):
        return device.value.partition(":")[0]
    return None


def is_off(view: View, seen: Seen) -> bool:
    """Say whether a context is made with a literal `enabled=False`."""
    enabled = argument(view, seen, "enabled")
    return isinstance(enabled, ast.Constant) and enabled.value is False
