"""What is known of custom autograd functions: whether `custom_fwd` and `custom_bwd` decorate them, and where."""

from __future__ import annotations

import linecache
from typing import Any

import torch

_LINES = 20  # of decorators and comments above a `def` that are read at most


def method(function: Any, name: str) -> Any:
    """Return `forward` or `backward` as the class has it."""
    found = getattr(function, name, None)
    return getattr(found, "__func__", found)


def decorated_for(function: Any, name: str) -> str | None:
    """Return the device type that `custom_fwd` or `custom_bwd` was given; None where neither decorates the method."""
    code = getattr(method(function, name), "__code__", None)
    if code is None or code.co_name not in ("decorate_fwd", "decorate_bwd"):
        return None
    closure = method(function, name).__closure__
    return str(closure[code.co_freevars.index("device_type")].cell_contents)


def decorated_functions() -> list[Any]:
    """Return the program's functions that say anything about autocast."""
    found, todo = [], list(torch.autograd.Function.__subclasses__())
    while todo:
        function = todo.pop()
        todo += function.__subclasses__()
        if not function.__module__.startswith("torch.") and any(
            decorated_for(function, name) is not None for name in ("forward", "backward")
        ):
            found.append(function)
    return found


def line_of(function: Any, name: str, text: str) -> tuple[str, int] | None:
    """Return path and line, at a method or its decorators, on which `text` stands."""
    found = method(function, name)
    code = getattr(getattr(found, "__wrapped__", found), "__code__", None)
    if code is None:
        return None
    for line in range(code.co_firstlineno, code.co_firstlineno + _LINES):
        if text in linecache.getline(code.co_filename, line):
            return code.co_filename, line
    return code.co_filename, code.co_firstlineno
