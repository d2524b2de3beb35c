"""Decides which code stands lexically inside an autocast region of a file, and what the region is."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function, Seen
from stages.logic.autocasts import argument, device_of, is_autocast_class, is_off

if TYPE_CHECKING:
    from stages._source.program.scopes import Scope
    from stages.logic.view import View

_NAMES = {"half": "float16", "float": "float32", "double": "float64"}
_DTYPES = ("float16", "bfloat16", "float32", "float64")
_DEFAULTS = {"cuda": "float16", "cpu": "bfloat16", "xpu": "float16", "mps": "float16"}


@dataclass(frozen=True, slots=True)
class Region:
    """The body of a `with`, or a decorated function, that runs under an autocast context of torch's own.

    Args:
        node: the `with` or the function.
        call: what makes the context.
        device: literal device type; None if not known.
        dtype: "float16", "bfloat16", ...; None if not known.
        off: made with a literal `enabled=False`.
    """

    node: ast.AST
    call: ast.Call
    scope: Scope
    device: str | None
    dtype: str | None
    off: bool


class Regions:
    """The autocast regions of one file."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._by_node: dict[ast.AST, Region] = {}
        for seen in view.module.scopes.contexts:
            if isinstance(seen.node, ast.withitem):
                self._add(view.parent(seen.node), seen.node.context_expr, seen.scope)
        for node, scope in view.module.scopes.scopes.items():
            if isinstance(node, Function) and scope.parent is not None:
                for decorator in node.decorator_list:
                    self._add(node, decorator, scope.parent)

    def all(self) -> list[Region]:
        return list(self._by_node.values())

    def around(self, node: ast.AST, *, within: ast.AST | None = None) -> Region | None:
        """Return the innermost region that a node stands in, in its own function.

        Args:
            within: look no further out than this node.
        """
        child, parent = node, self._view.parent(node)
        while parent is not None:
            region = self._by_node.get(parent)
            if region is not None and not isinstance(child, ast.withitem) and not _decorates(child, parent):
                return region
            if parent is within or isinstance(parent, Function | ast.Lambda | ast.ClassDef):
                return None
            child, parent = parent, self._view.parent(parent)
        return None

    def _add(self, node: ast.AST | None, made: ast.expr, scope: Scope) -> None:
        if node is None or not isinstance(made, ast.Call) or not is_autocast_class(self._view, made.func, scope):
            return
        seen = Seen(made, scope, "")
        device = device_of(self._view, seen)
        dtype = argument(self._view, seen, "dtype")
        name = _dtype_name(self._view, dtype, scope) if dtype is not None else _DEFAULTS.get(device or "")
        self._by_node[node] = Region(node, made, scope, device, name, is_off(self._view, seen))


def _decorates(child: ast.AST, parent: ast.AST) -> bool:
    return isinstance(parent, Function) and child in parent.decorator_list


def _dtype_name(view: View, node: ast.expr, scope: Scope) -> str | None:
    """Return the canonical name of a dtype; None where it is not one of torch's, or more than one."""
    last = [origin.rpartition(".")[2] for origin in view.origins(node, scope)]
    found = {_NAMES.get(name, name) for name in last}
    return found.pop() if len(found) == 1 and found <= set(_DTYPES) else None
