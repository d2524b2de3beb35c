"""Decides what torch's old AMP names are called today, and how a call of one is written with the new name."""

from __future__ import annotations

import ast

from stages._source.patterns import late
from stages.logic.constructors import autocasts, bind, scalers

_CLASS = late(r"torch\.(cuda|cpu)\.amp\.(?:\w+\.)?(autocast|GradScaler|custom_fwd|custom_bwd)")
_DEVICE = late(r"_(gpu|cpu|ipu|hpu|xla)_")
_GETTER = late(r"torch\.(?:get|set|is)_autocast_(?:gpu|cpu|ipu|hpu|xla)_(?:enabled|dtype)")
LAST_NAMES = late(r"autocast|GradScaler|custom_fwd|custom_bwd|(?:get|set|is)_autocast_[a-z]+_\w+")


def is_deprecated(name: str) -> bool:
    return _CLASS.fullmatch(name) is not None or _GETTER.fullmatch(name) is not None


def today(name: str) -> str:
    """Return the name that torch has for it now, without its arguments."""
    if found := _CLASS.fullmatch(name):
        return f"torch.amp.{found[2]}"
    return _DEVICE.sub("_", name)


def rewritten(call: ast.Call | None, name: str) -> str:
    """Return how a call is written with the new name: the device in front, everything else by keyword.

    Args:
        call: None where the name is used without calling it, as a bare decorator.
    """
    found = _CLASS.fullmatch(name)
    if found is None:
        return _getter(call, name)
    device = f'"{found[1]}"'
    if found[2].startswith("custom"):
        given = [] if call is None else [_keyword(item) for item in call.keywords]
        return f"torch.amp.{found[2]}({', '.join([*given, f'device_type={device}'])})"
    signature = (scalers(frozenset([name])) or autocasts(frozenset([name])))[0]
    if call is None:
        return f"torch.amp.{found[2]}({device})"
    bound = bind(call, signature)
    given = [f"{parameter}={ast.unparse(value)}" for parameter, value in bound.positional]
    given += [ast.unparse(item) for item in call.args[len(bound.positional) :]]
    given += [_keyword(item) for item in call.keywords]
    return f"torch.amp.{found[2]}({', '.join([device, *given])})"


def _getter(call: ast.Call | None, name: str) -> str:
    found = _DEVICE.search(name)
    device = "cuda" if found is None or found[1] == "gpu" else found[1]
    given = [] if call is None else [ast.unparse(item) for item in call.args]
    arguments = ", ".join([repr(device), *given])
    return f"{today(name)}({arguments})"


def _keyword(item: ast.keyword) -> str:
    return f"{item.arg}={ast.unparse(item.value)}" if item.arg else f"**{ast.unparse(item.value)}"
