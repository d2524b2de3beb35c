"""What an attribute of a value is, and what storing one does."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.origins import attribute_bindings
from stages._source.program.scopes import Function
from stages.logic.engine.attempt import Attempt, Choices, Frame, PathEnds
from stages.logic.engine.kinds import is_module_class
from stages.logic.engine.names import dotted, member
from stages.logic.engine.records import is_default
from stages.logic.engine.state import State
from stages.logic.engine.values import (
    Callee,
    ClassValue,
    Const,
    Dotted,
    Gradient,
    Instance,
    Loop,
    Method,
    Model,
    Optimizer,
    Params,
    Scaler,
    Unknown,
    Value,
    key_of,
    matters,
)

if TYPE_CHECKING:
    from stages._source.program.scopes import Binding
    from stages.logic.engine.walker import Walker

_SAME = ("module", "_orig_mod")  # what DDP and torch.compile put around a model


def attribute(walker: Walker, attempt: Attempt, value: Value, name: str, node: ast.Attribute) -> Value:
    """Return `value.name`."""
    stored = attempt.state.heap.get((key_of(value), name))
    if stored is not None:
        return stored
    match value:
        case Dotted():
            return dotted(walker, f"{value.name}.{name}")
        case ClassValue():
            return member(walker, value, name)
        case Instance():
            return _of_instance(walker, attempt, value, name, node)
        case Model():
            if name in _SAME:
                return value
            return Unknown(("attribute", value.key, name))
        case Scaler() | Unknown() if name == "_per_optimizer_states":  # the code asks itself where the scaler stands
            attempt.state.protocol = attempt.state.protocol.forget(value.key, None)
        case Optimizer() | Unknown() | Loop() if name == "param_groups":
            return Params(value.owners if isinstance(value, Optimizer) else frozenset())
        case Params() if name == "grad":
            return Gradient(value.of)
        case Unknown() | Loop() if name == "grad":
            return Gradient(frozenset({key_of(value)}))
        case Gradient() if name in ("data",):
            return value
        case Unknown() if name in _SAME:
            return value
    return Unknown(("attribute", key_of(value), name))


def store(walker: Walker, attempt: Attempt, value: Value, name: str, stored: Value, target: ast.expr) -> None:
    """Do `value.name = stored`."""
    if isinstance(value, Params) and name == "grad":
        if stored == Gradient(value.of):  # written in place, which was told already
            return
        walker.engine.grads_replaced(attempt, value, stored, target)
        return
    if isinstance(value, Gradient):
        return
    attempt.state.heap[(key_of(value), name)] = stored


def _of_instance(walker: Walker, attempt: Attempt, value: Instance, name: str, node: ast.Attribute) -> Value:
    bindings = attribute_bindings(walker.engine.project, value.scope, name)
    for binding in bindings:
        if isinstance(binding.node, Function):
            scope = binding.scope.inner[binding.node]
            if _is_property(binding.node):
                given = walker.engine.property_value(walker, attempt, scope, value, node)
                if _is_property(binding.node, "cached_property", "lazy_property"):
                    attempt.state.heap[(value.key, name)] = given
                return given
            static = any(
                isinstance(item, ast.Name) and item.id == "staticmethod" for item in binding.node.decorator_list
            )
            return Callee(scope, None if static else value)
        if isinstance(binding.node, ast.ClassDef):
            return ClassValue(binding.scope.inner[binding.node])
    if any(is_default(walker, value.scope, binding) for binding in bindings):
        return Unknown(("attribute", value.key, name))
    values = [found for binding in bindings if (found := _anywhere(walker, value, binding)) is not None]
    telling = [found for found in values if matters(found) and found != Const(None)]
    if telling:
        return telling[0]
    if len(values) == len(bindings) == 1:
        return values[0]
    if not bindings and is_module_class(walker, value.scope) and name in _SAME:
        return value
    return Unknown(("attribute", value.key, name))


def _anywhere(walker: Walker, value: Instance, binding: Binding) -> Value | None:
    """Evaluate what some method binds the attribute to, without the path that led there."""
    if binding.how != "value" or binding.value is None:
        return None
    key = (value.key, binding.node)
    known = walker.engine.elsewhere.get(key)
    if known is None:
        walker.engine.elsewhere[key] = Unknown(("attribute", value.key, ast.dump(binding.node)))
        module = walker.engine.module_of(binding.scope)
        if module is None:
            return None
        frame = Frame(binding.scope, module, (binding.scope,) * 3, quiet=True)
        state = State()
        arguments = binding.scope.node.args.args if isinstance(binding.scope.node, Function) else []
        if arguments:
            state.env[(binding.scope, arguments[0].arg)] = value
        try:
            known = walker.evaluate(Attempt(state, frame, Choices(), []), binding.value)
        except PathEnds:
            return None
        walker.engine.elsewhere[key] = known
    return known


def _is_static(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef, *kinds: str) -> bool:
    names = [ast.unparse(item) for item in node.decorator_list]
    return any(name.split(".")[-1] in (kinds or ("property", "cached_property", "lazy_property")) for name in names)


__all__ = ["Method", "attribute", "store"]
