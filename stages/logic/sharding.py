"""Finds functions and classes that shard a model with FSDP, by what they call, and what else they do with it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.scopes import Function
from stages._source.testfiles import is_test_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

_WRAPPER = ".FullyShardedDataParallel"


def scalers_beside_sharding(view: View) -> Iterator[tuple[Seen, Seen]]:
    """Yield plain scalers that a function makes which also shards a model, in files that know no sharded scaler."""
    if not view.mentions("FullyShardedDataParallel") or view.mentions("ShardedGradScaler"):
        return
    sharding = {_function(seen.scope): seen for seen in _shards(view)}
    for seen in view.calls() if sharding and not is_test_file(view.module.path) else ():
        assert isinstance(seen.node, ast.Call)
        around = _function(seen.scope)
        if around in sharding and vocabulary.names_scaler(view.origins(seen.node.func, seen.scope)):
            yield seen, sharding[around]


def clips_of_sharded_attributes(view: View) -> Iterator[tuple[ast.Call, ast.Call]]:
    """Yield torch's norm clipping of an attribute that another method of the class shards, with that call."""
    if not view.mentions("FullyShardedDataParallel") or not view.mentions("clip_grad_norm_"):
        return
    for cls in view.module.scopes.scopes.values():
        if isinstance(cls.node, ast.ClassDef):
            text = ast.unparse(cls.node)
            for attribute, call in _sharded_attributes(view, cls):
                if f"self.{attribute}.clip_grad_norm_" in text:
                    continue  # the class has a way for sharded models
                for node in ast.walk(cls.node):
                    if isinstance(node, ast.Call) and _clips(node, attribute):
                        yield node, call


def _sharded_attributes(view: View, cls: Scope) -> Iterator[tuple[str, ast.Call]]:
    for name, bindings in cls.attributes.items():
        for binding in bindings:
            value = binding.value
            if isinstance(value, ast.Call) and _is_wrapper(view, value, binding.scope):
                yield name, value
                break


def _shards(view: View) -> Iterator[Seen]:
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and _is_wrapper(view, seen.node, seen.scope):
            yield seen


def _is_wrapper(view: View, call: ast.Call, scope: Scope) -> bool:
    if any(item.arg == "sharding_strategy" and "NO_SHARD" in ast.unparse(item.value) for item in call.keywords):
        return False
    return any(name.endswith(_WRAPPER) for name in view.origins(call.func, scope))


def _clips(call: ast.Call, attribute: str) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return (
        name == "clip_grad_norm_" and bool(call.args) and ast.unparse(call.args[0]) == f"self.{attribute}.parameters()"
    )


def _function(scope: Scope) -> Scope:
    while scope.parent is not None and not isinstance(scope.node, Function):
        scope = scope.parent
    return scope
