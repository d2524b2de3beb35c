"""Decides where a file keeps the state of an optimizer for later, and whether it keeps the scaler's beside it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.origins import functions, lineage
from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

_SAVES = late(r"save|dump|checkpoint|ckpt|snapshot|persist|state", re.I)
_KEEPERS = late(r"add_recoverable|register_for_checkpointing|\w*Checkpointer")
_KEY = late(r"\w*(?:scaler|grad_scale|loss_scale)\w*|amp|amp_state\w*", re.I)


def kept_optimizers(view: View) -> Iterator[Seen]:
    """Yield the calls by which this file keeps the state of an optimizer: `{"optimizer": optimizer.state_dict()}`."""
    for seen in view.calls():
        node = seen.node
        assert isinstance(node, ast.Call)
        if (_gives_state(view, seen) and _is_kept(view, node)) or _is_handed_over(view, seen):
            yield seen


def helpers_that_keep(view: View) -> Iterator[tuple[Seen, Scope]]:
    """Yield calls that give an optimizer to a function of the project which keeps its state, with that function."""
    for seen in view.calls():
        node = seen.node
        assert isinstance(node, ast.Call)
        if not _SAVES.search(last_name(node.func)):
            continue
        given = [value for value in _values(node) if is_optimizer(view, value, seen.scope)]
        if not given:
            continue
        for function in functions(view.project, node.func, seen.scope):
            if _keeps_a_parameter(function):
                yield seen, function
                break


def bases_that_keep(view: View, cls: Scope) -> bool:
    """Say whether a class, or one it derives from in the project, gives out the state of its own optimizer."""
    for scope in lineage(view.project, cls):
        for node in ast.walk(scope.node):
            match node:
                case ast.Call(func=ast.Attribute(attr="state_dict", value=ast.Attribute() as owner)) if (
                    vocabulary.called_like_optimizer(owner.attr)
                ):
                    return True
    return False


def speaks_of_scaler_state(tree: ast.AST, names: frozenset[str] = frozenset()) -> bool:
    """Say whether code keeps, loads or hands on a scaler: by its own methods, by a key, or as an argument of a saver.

    Args:
        names: under which it knows a scaler.
    """
    return any(_keeps_scaler(node, names) for node in ast.walk(tree))


def is_optimizer(view: View, node: ast.expr, scope: Scope) -> bool:
    return view.kinds.is_optimizer(node, scope, view.module)


def sounds_like_scaler(node: ast.AST, names: frozenset[str] = frozenset()) -> bool:
    name = last_name(node) if isinstance(node, ast.expr) else ""
    return name in names or vocabulary.called_like_scaler(name) or name.lower().endswith("scaler")


def _gives_state(view: View, seen: Seen) -> bool:
    match seen.node:
        case ast.Call(func=ast.Attribute(attr="state_dict", value=owner)):
            return is_optimizer(view, owner, seen.scope)
    return False


def _is_handed_over(view: View, seen: Seen) -> bool:
    """Say whether the call gives an optimizer to a checkpointer, which keeps its state from then on."""
    assert isinstance(seen.node, ast.Call)
    if not _KEEPERS.fullmatch(last_name(seen.node.func)):
        return False
    return any(is_optimizer(view, value, seen.scope) for value in _values(seen.node))


def _is_kept(view: View, node: ast.AST) -> bool:
    """Say whether a value goes into a dictionary, under a key, or to something that saves."""
    inner, around = node, view.parent(node)
    while around is not None:
        match around:
            case ast.Dict() | ast.keyword():
                return True
            case ast.Call(func=func):
                return _SAVES.search(last_name(func)) is not None or last_name(func) in ("dict", "update")
            case ast.Assign(targets=[ast.Subscript()]) | ast.Return():
                return True
            case ast.IfExp() | ast.BoolOp():
                inner, around = around, view.parent(around)
                continue
        return False
    return inner is not node


def _keeps_a_parameter(function: Scope) -> bool:
    """Say whether a function calls `state_dict` of something like an optimizer that it was given."""
    if not isinstance(function.node, Function):
        return False
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == "state_dict"
        and isinstance(node.value, ast.Name)
        and vocabulary.called_like_optimizer(node.value.id)
        and node.value.id in function.bindings
        for node in ast.walk(function.node)
    )


def _keeps_scaler(node: ast.AST, names: frozenset[str]) -> bool:
    match node:
        case ast.Attribute(attr="state_dict" | "load_state_dict", value=owner):
            return sounds_like_scaler(owner, names)
        case ast.Dict(keys=keys):
            return any(isinstance(key, ast.Constant) and _is_key(key.value) for key in keys)
        case ast.Subscript(slice=ast.Constant(value=key)):
            return _is_key(key)
        case ast.Call(func=func) if _SAVES.search(last_name(func)) or _KEEPERS.fullmatch(last_name(func)):
            return any(sounds_like_scaler(value, names) for value in _values(node))
        case ast.Compare(left=ast.Constant(value=key)):
            return _is_key(key)
    return False


def _is_key(key: object) -> bool:
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def _values(call: ast.Call) -> list[ast.expr]:
    found: list[ast.expr] = []
    for value in [*call.args, *(keyword.value for keyword in call.keywords)]:
        found += value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    return found
