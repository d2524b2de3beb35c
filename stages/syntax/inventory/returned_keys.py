"""Decides which keys the dictionaries that a function returns have, where the source alone can say."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.origins import functions, origins
from stages._source.program.scopes import own_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope

Keys = frozenset[str] | None  # None: not derivable
_DEPTH = 6


def returned_keys(project: Project, function: Scope, depth: int = 0) -> Sequence[str] | None:
    """Return the sorted keys over all returns; None unless every value returned is such a dictionary or None."""
    found: set[str] = set()
    derived = False
    for value in function.returns:
        if isinstance(value, ast.Constant) and value.value is None:
            continue
        keys = _keys(project, value, function, depth)
        if keys is None:
            return None
        derived = True
        found |= keys
    return sorted(found) if derived else None


def _keys(project: Project, value: ast.expr | None, scope: Scope, depth: int) -> Keys:
    if depth > _DEPTH:
        return None
    match value:
        case ast.Dict():
            return _of_display(project, value, scope, depth)
        case ast.Call():
            return _of_call(project, value, scope, depth)
        case ast.Name(id=name):
            return _of_local(project, name, scope, depth)
        case ast.IfExp(body=body, orelse=orelse):
            return _union([_keys(project, part, scope, depth + 1) for part in (body, orelse)])
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([_keys(project, part, scope, depth + 1) for part in (left, right)])
    return None


def _of_display(project: Project, value: ast.Dict, scope: Scope, depth: int) -> Keys:
    parts: list[Keys] = []
    for key, item in zip(value.keys, value.values, strict=True):
        if key is None:
            parts.append(_keys(project, item, scope, depth + 1))
        else:
            parts.append(_constant(key))
    return _union(parts)


def _of_call(project: Project, call: ast.Call, scope: Scope, depth: int) -> Keys:
    if "dict" in origins(project, call.func, scope):
        return _of_arguments(project, call, scope, depth)
    if isinstance(call.func, ast.Attribute) and call.func.attr == "copy" and not call.args:
        return _keys(project, call.func.value, scope, depth + 1)
    called = functions(project, call.func, scope)
    parts = [returned_keys(project, function, depth + 1) for function in called if function is not scope]
    return _union([None if part is None else frozenset(part) for part in parts]) if parts else None


def _of_arguments(project: Project, call: ast.Call, scope: Scope, depth: int) -> Keys:
    """Return the keys that `dict(...)` and `d.update(...)` take from their arguments."""
    parts = [_keys(project, value, scope, depth + 1) for value in call.args]
    for keyword in call.keywords:
        named = frozenset({keyword.arg}) if keyword.arg else _keys(project, keyword.value, scope, depth + 1)
        parts.append(named)
    return _union(parts)


def _of_local(project: Project, name: str, scope: Scope, depth: int) -> Keys:
    """Read a dictionary that this function builds: what it is bound to, and every key put into it afterwards."""
    bindings = scope.bindings.get(name, [])
    if not bindings or name in scope.elsewhere:
        return None
    parts: list[Keys] = []
    for binding in bindings:
        if binding.how != "value":
            return None
        if binding.value is not None:  # a bare annotation binds nothing
            parts.append(_keys(project, binding.value, scope, depth + 1))
    body = getattr(scope.node, "body", [])
    for node in own_nodes(body if isinstance(body, list) else [body]):
        parts += _put_into(project, node, name, scope, depth)
    return _union(parts) if parts else None


def _put_into(project: Project, node: ast.AST, name: str, scope: Scope, depth: int) -> list[Keys]:
    match node:
        case ast.Subscript(value=ast.Name(id=target), slice=key, ctx=ast.Store()) if target == name:
            return [_constant(key)]
        case ast.AugAssign(target=ast.Name(id=target), op=ast.BitOr(), value=value) if target == name:
            return [_keys(project, value, scope, depth + 1)]
        case ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="update")) if target == name:
            return [_of_arguments(project, node, scope, depth)]
        case ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="setdefault"), args=[key, *_]) if (
            target == name
        ):
            return [_constant(key)]
    return []


def _constant(key: ast.expr) -> Keys:
    return frozenset({key.value}) if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _union(parts: Sequence[Keys]) -> Keys:
    found: set[str] = set()
    for part in parts:
        if part is None:
            return None
        found |= part
    return frozenset(found)
