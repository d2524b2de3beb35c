"""What a function says to scalers and optimizers, as it is written: a fix needs the expressions themselves."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import Function, dotted, method_call, receiver

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading

_OF_SCALERS = ("scale", "unscale_", "update", "get_scale")


@dataclass(frozen=True, slots=True)
class ScalerCall:
    """`scaler.method(optimizer, ...)`. The texts are those of the two expressions; "" where there is no argument."""

    call: ast.Call
    method: str
    scaler: str
    argument: str
    statement: ast.stmt


def scaler_calls(read: Reading, around: Function | ast.Module, *methods: str) -> list[ScalerCall]:
    """Return the calls of these methods in a function's own code, in source order, on what is a scaler by its use."""
    scalers = {text for text in map(_text_of_receiver, read.nodes(read.tree, ast.Call)) if text}
    found = []
    for call in read.own(around, ast.Call):
        if method_call(call, *methods) is None:
            continue
        assert isinstance(call.func, ast.Attribute)
        scaler = dotted(receiver(call))
        if not scaler or (scaler not in scalers and "scaler" not in scaler.lower()):
            continue
        argument = read.code(call.args[0]) if call.args else ""
        found.append(ScalerCall(call, call.func.attr, scaler, argument, read.statement(call)))
    return [item for item in found if item.method in _OF_SCALERS or item.argument]


def _text_of_receiver(call: ast.Call) -> str:
    """Return the scaler of a call that only a scaler takes; "" for any other call."""
    found = method_call(call, "scale", "unscale_")
    return dotted(receiver(found)) if found is not None and found.args else ""


def one_scaler(read: Reading, around: Function | ast.Module) -> str:
    """Return the scaler of a function, or else of its class's methods, where there is just one; else ""."""
    names = {item.scaler for item in scaler_calls(read, around, "scale", "step", "unscale_", "update")}
    if not names:
        owner = read.parents.get(around)
        methods = [node for node in owner.body if isinstance(node, Function)] if isinstance(owner, ast.ClassDef) else []
        names = {item.scaler for node in methods for item in scaler_calls(read, node, "scale", "step", "unscale_")}
        names = {name for name in names if name.startswith("self.")}
    return names.pop() if len(names) == 1 else ""
