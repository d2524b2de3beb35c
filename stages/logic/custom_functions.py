"""Decides what a file's own autograd functions declare about autocast."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages._source.program.origins import classes
from stages._source.program.scopes import Function, own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

_BASE = late(r"torch\.autograd(?:\.function)?\.Function")
_DECORATOR = late(r"torch\.(?:(cuda|cpu)\.)?amp(?:\.autocast_mode)?\.custom_(fwd|bwd)")
_HARMLESS = late(r"staticmethod|torch\.jit\.\w+|torch\.autograd\.function\.once_differentiable|(?:typing\.)?override")
_LIBRARIES = late(r"(?:torch|numpy|math|typing|functools|itertools|os|sys|random|warnings|logging|time|triton)(?:\.|$)")
_LONG = 6  # statements
_PRODUCTS = frozenset(
    ["matmul", "mm", "bmm", "addmm", "baddbmm", "linear", "conv1d", "conv2d", "conv3d", "einsum", "mv"]
)


@dataclass(frozen=True, slots=True)
class Declared:
    """A method of an autograd function, and what is declared of it.

    Args:
        by: the decorator; None where there is none.
        device: its literal device type.
        casts: it has `cast_inputs`, so the method runs with autocast off.
        plain: every other decorator is known to change nothing.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef
    by: ast.expr | None = None
    device: str | None = None
    casts: bool = False
    plain: bool = True


@dataclass(frozen=True, slots=True)
class CustomFunction:
    """A class derived from `torch.autograd.Function` that defines both directions itself."""

    scope: Scope
    forward: Declared
    backward: Declared

    @property
    def name(self) -> str:
        return self.scope.qualname.rpartition(".")[2]


def custom_functions(view: View) -> Iterator[CustomFunction]:
    """Yield the autograd functions of the file in source order."""
    for node, scope in view.module.scopes.scopes.items():
        if not isinstance(node, ast.ClassDef) or scope.parent is None:
            continue
        outer = scope.parent
        if any(_BASE.fullmatch(origin) for base in node.bases for origin in view.origins(base, outer)):
            forward, backward = _method(view, scope, "forward", "fwd"), _method(view, scope, "backward", "bwd")
            if forward is not None and backward is not None:
                yield CustomFunction(scope, forward, backward)


def applications(view: View, function: CustomFunction) -> Iterator[Seen]:
    """Yield the calls of the file that run an autograd function."""
    for seen in view.calls():
        match seen.node:
            case ast.Call(func=ast.Attribute(value=owner, attr="apply")):
                if function.scope in classes(view.project, owner, seen.scope):
                    yield seen


def multiplies(method: Declared) -> bool:
    """Say whether a method computes a matrix product, which autocast does in half."""
    return any(
        (isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _PRODUCTS)
        for node in own_nodes(method.node.body)
    )


def works(view: View, method: Declared) -> bool:
    """Say whether a method multiplies, or hands tensors to code outside of torch: an extension or another function."""
    return multiplies(method) or any(
        isinstance(node, ast.Call) and bool(node.args) and _is_foreign(view, node.func)
        for node in own_nodes(method.node.body)
    )


def saves(method: Declared) -> bool:
    """Say whether a method keeps tensors for the other direction."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "save_for_backward" for node in own_nodes(method.node.body)
    )


def _is_foreign(view: View, func: ast.expr) -> bool:
    root = func
    while isinstance(root, ast.Attribute):
        root = root.value
    bindings = view.module.scopes.root.bindings.get(root.id, []) if isinstance(root, ast.Name) else []
    names = {binding.origin for binding in bindings if binding.how == "import"}
    if ast.unparse(func).startswith("torch.ops."):
        return True
    return any(_is_long(binding.node) for binding in bindings) or any(not _LIBRARIES.match(name) for name in names)


def _is_long(node: ast.AST) -> bool:
    """Say whether a function of the file computes more than the formula of an activation."""
    return isinstance(node, Function) and sum(isinstance(part, ast.stmt) for part in own_nodes(node.body)) >= _LONG


def _method(view: View, scope: Scope, name: str, kind: Literal["fwd", "bwd"]) -> Declared | None:
    """Return the one definition of a method, with what decorates it."""
    bindings = scope.bindings.get(name, [])
    node = bindings[0].node if len(bindings) == 1 else None
    if not isinstance(node, Function):
        return None
    found = Declared(node)
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        origins = view.origins(called, scope)
        matches = [match for origin in origins if (match := _DECORATOR.fullmatch(origin))]
        if any(match.group(2) == kind for match in matches):
            device = next((match.group(1) for match in matches if match.group(1)), None) or _literal(decorator)
            found = Declared(node, decorator, device, _casts(decorator), found.plain)
        elif not (origins and all(_HARMLESS.fullmatch(origin) for origin in origins)):
            found = Declared(node, found.by, found.device, found.casts, plain=False)
    return found


def _literal(decorator: ast.expr) -> str | None:
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg == "device_type" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _casts(decorator: ast.expr) -> bool:
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else ()
    return any(keyword.arg == "cast_inputs" for keyword in keywords)
