"""Finds the autocast of a file: the calls that make a context, and the `with` statements that enter one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.mutation.code import dotted, keyword, last_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code

OLD = ("torch.cuda.amp.autocast", "torch.cpu.amp.autocast", "torch.cuda.amp.autocast_mode.autocast")


def origin(code: Code, node: ast.expr) -> str:
    """Return what a dotted name stands for by the imports of the file, "" where its root is not imported."""
    name = dotted(node)
    root, _, rest = name.partition(".")
    for item in code.nodes:
        if isinstance(item, ast.Import):
            for alias in item.names:
                if (alias.asname or alias.name.partition(".")[0]) == root:
                    return ".".join(filter(None, (alias.name if alias.asname else root, rest)))
        elif isinstance(item, ast.ImportFrom) and not item.level:
            for alias in item.names:
                if (alias.asname or alias.name) == root:
                    return ".".join(filter(None, (item.module or "", alias.name, rest)))
    return ""


def torch_calls(code: Code) -> list[ast.Call]:
    """Return the calls of torch's own autocast, except those that turn it off."""
    return [call for call in code.calls("autocast") if _is_torch(code, call) and not is_off(call)]


def is_old(code: Code, call: ast.Call) -> bool:
    """Say whether the first parameter is `enabled`, as for `torch.cuda.amp.autocast`."""
    return origin(code, call.func) in OLD


def enabled(code: Code, call: ast.Call) -> ast.expr | None:
    """Return the flag of an autocast, where it has one."""
    named = keyword(call, "enabled")
    if named is not None:
        return named.value
    return call.args[0] if is_old(code, call) and call.args else None


def is_off(call: ast.Call) -> bool:
    named = keyword(call, "enabled")
    return named is not None and isinstance(named.value, ast.Constant) and named.value.value is False


def contexts(code: Code) -> Iterator[tuple[ast.With, ast.withitem]]:
    """Yield the `with` statements that enter autocast, and by which item; not those that turn it off."""
    for node in code.nodes:
        if isinstance(node, ast.With):
            for item in node.items:
                if is_context(code, item.context_expr):
                    yield node, item


def is_context(code: Code, node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return "autocast" in last_name(node.func) and not is_off(node)
    name = dotted(node)
    return bool(name) and any(
        isinstance(part, ast.Call) and "autocast" in last_name(part.func) and not is_off(part)
        for assign in code.assignments(name)
        for part in ast.walk(assign.value)
    )


def is_under_autocast(code: Code, node: ast.AST) -> bool:
    """Say whether a place stands in an autocast context, or in a `forward` of a file that has one."""
    entered = [statement for statement, _ in contexts(code)]
    while node in code.parents:
        node = code.parents[node]
        if node in entered or (isinstance(node, ast.FunctionDef) and node.name == "forward" and bool(entered)):
            return True
    return False


def _is_torch(code: Code, call: ast.Call) -> bool:
    return origin(code, call.func).startswith("torch.")
