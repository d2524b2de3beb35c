"""What a call does: code of the project is walked into, AMP primitives take effect, the rest only gets what it gets."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.program.origins import functions, lineage
from stages._source.program.scopes import Function
from stages.logic.engine import library, methods
from stages.logic.engine.attributes import attribute
from stages.logic.engine.construct import construct
from stages.logic.engine.given import Given
from stages.logic.engine.kinds import is_framework, is_module_class
from stages.logic.engine.names import receiver_of
from stages.logic.engine.values import (
    Callee,
    ClassValue,
    Dotted,
    Instance,
    Items,
    Key,
    Kind,
    Loop,
    Partial,
    Table,
    Unknown,
    Value,
    key_of,
)

if TYPE_CHECKING:
    from stages._source.program.scopes import Scope
    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.walker import Walker


_KIND = "(class)"  # beside the attributes of an object
_MOST_KINDS = 3


def call(walker: Walker, attempt: Attempt, node: ast.Call, *, dropped: bool) -> Value:
    """Evaluate a call and let it take effect."""
    if isinstance(node.func, ast.Attribute):
        inner = node.func.value
        parent = _super_method(attempt, node.func)
        if parent is not None:
            return _super(walker, attempt, node, parent, dropped=dropped)
        receiver = walker.evaluate(attempt, inner)
        target = attribute(walker, attempt, receiver, node.func.attr, node.func)
        given = _given(walker, attempt, node, dropped=dropped)
        if isinstance(target, Unknown) and target.key[0] in ("attribute", "member", "item", "global", "local"):
            declared = _declared(walker, attempt, receiver, node.func)
            if declared is not None:
                return walker.engine.inline(walker, attempt, given, declared)
            return methods.call_method(walker, attempt, given, receiver, node.func.attr, inner)
        return _apply(walker, attempt, given, target)
    target = walker.evaluate(attempt, node.func)
    return _apply(walker, attempt, _given(walker, attempt, node, dropped=dropped), target)


def _apply(walker: Walker, attempt: Attempt, given: Given, target: Value) -> Value:
    match target:
        case Callee():
            return walker.engine.inline(walker, attempt, given, target)
        case ClassValue():
            return construct(walker, attempt, given, target)
        case Dotted():
            return library.call_library(walker, attempt, given, target.name)
        case Instance():
            return _call_instance(walker, attempt, given, target)
        case Partial(target=inner, args=args, keywords=keywords):
            whole = replace(given, args=(*args, *given.args), keywords=dict(keywords) | given.keywords)
            return _apply(walker, attempt, whole, inner)
    return methods.call_unknown(walker, attempt, given, target)


def _declared(walker: Walker, attempt: Attempt, receiver: Value, func: ast.Attribute) -> Callee | None:
    """Return the method that annotations, or what made the object, say is called; None if it is empty or open.

    Where subclasses have their own, each is called on a path of its own, on which the object stays of its class.
    """
    if not isinstance(receiver, Unknown | Loop):
        return None
    place = (key_of(receiver), _KIND)
    taken = attempt.state.heap.get(place)
    if isinstance(taken, Kind):
        return _method_of(walker, taken.scope, func.attr, key_of(receiver))
    methods_found = functions(walker.engine.project, func, attempt.frame.scope)
    concrete = [scope for scope in methods_found if not _is_empty(scope) and _class_of(scope) is not None]
    if any(is_framework(cls) for scope in concrete if (cls := _class_of(scope)) is not None):
        return None  # its users are right, in its own repository too
    if not 0 < len(concrete) <= _MOST_KINDS or not any(walker.engine.relevance.of(scope) for scope in concrete):
        return None
    method = attempt.choose(lambda: concrete) if len(concrete) > 1 else concrete[0]
    cls = _class_of(method)
    assert cls is not None
    if len(methods_found) > 1:
        attempt.state.heap[place] = Kind(cls)
    return Callee(method, Instance(cls, key_of(receiver)))


def _method_of(walker: Walker, cls: Scope, name: str, key: Key) -> Callee | None:
    for scope in lineage(walker.engine.project, cls):
        for binding in scope.bindings.get(name, []):
            if isinstance(binding.node, Function):
                return Callee(binding.scope.inner[binding.node], Instance(cls, key))
    return None


def _class_of(method: Scope) -> Scope | None:
    cls = method.parent
    return cls if cls is not None and isinstance(cls.node, ast.ClassDef) else None


def _is_empty(scope: Scope) -> bool:
    """Say whether a method only stands for those of subclasses."""
    body = scope.node.body if isinstance(scope.node, Function) else []
    return all(isinstance(node, ast.Pass | ast.Raise) or _is_literal(node) for node in body)


def _is_literal(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _call_instance(walker: Walker, attempt: Attempt, given: Given, target: Instance) -> Value:
    names = ("forward", "__call__") if is_module_class(walker, target.scope) else ("__call__",)
    for name in names:
        for cls in lineage(walker.engine.project, target.scope):
            for binding in cls.bindings.get(name, []):
                if isinstance(binding.node, Function):
                    callee = Callee(binding.scope.inner[binding.node], target)
                    return walker.engine.inline(walker, attempt, given, callee)
    return methods.call_unknown(walker, attempt, given, target)


def _given(walker: Walker, attempt: Attempt, node: ast.Call, *, dropped: bool) -> Given:
    args: list[Value] = []
    whole = True
    for item in node.args:
        value = walker.evaluate(attempt, item)
        if not isinstance(item, ast.Starred):
            args.append(value)
        elif isinstance(value, Items):
            args += value.values
        else:
            whole = False
            break
    keywords: dict[str, Value] = {}
    for keyword in node.keywords:
        value = walker.evaluate(attempt, keyword.value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
        elif isinstance(value, Table):
            keywords |= dict(value.entries)
            whole = whole and value.whole
        else:
            whole = False
    return Given(node, tuple(args), keywords, whole, dropped)


def _super_method(attempt: Attempt, func: ast.Attribute) -> str | None:
    match func.value:
        case ast.Call(func=ast.Name(id="super")):
            return func.attr
    return None


def _super(walker: Walker, attempt: Attempt, node: ast.Call, name: str, *, dropped: bool) -> Value:
    given = _given(walker, attempt, node, dropped=dropped)
    scope: Scope | None = attempt.frame.scope
    while scope is not None and not isinstance(scope.node, Function):
        scope = scope.parent
    instance = receiver_of(scope) if scope is not None else None
    if scope is None or instance is None:
        return methods.call_unknown(walker, attempt, given, Unknown(("super", name)))
    known = attempt.state.env.get((scope, scope.node.args.args[0].arg)) if isinstance(scope.node, Function) else None
    receiver = known if isinstance(known, Instance) else instance
    for cls in lineage(walker.engine.project, instance.scope)[1:]:
        for binding in cls.bindings.get(name, []):
            if isinstance(binding.node, Function):
                return walker.engine.inline(walker, attempt, given, Callee(binding.scope.inner[binding.node], receiver))
    return methods.call_method(walker, attempt, given, receiver, name, node.func)
