"""Decides by which expression a function can reach the accelerator of its training."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import Function, dotted, method_call, receiver

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading

_METHODS = ("prepare", "backward", "accumulate", "clip_grad_norm_", "prepare_model")


def accelerator_of(read: Reading, near: ast.AST) -> str:
    """Return the accelerator that the function around a node or its class calls; "" where it is not just one."""
    function = read.function(near)
    names = _called(read, function) or _parameters(function)
    if not names:
        owner = read.parents.get(function)
        methods = [node for node in owner.body if isinstance(node, Function)] if isinstance(owner, ast.ClassDef) else []
        names = {name for node in methods for name in _called(read, node) if name.startswith("self.")}
    return names.pop() if len(names) == 1 else ""


def _called(read: Reading, function: Function | ast.Module) -> set[str]:
    found = set()
    for call in read.own(function, ast.Call):
        if method_call(call, *_METHODS) is not None:
            name = dotted(receiver(call))
            if "accelerat" in name.lower():
                found.add(name)
    return found


def _parameters(function: Function | ast.Module) -> set[str]:
    if isinstance(function, ast.Module):
        return set()
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {item.arg for item in arguments if item.arg == "accelerator"}
