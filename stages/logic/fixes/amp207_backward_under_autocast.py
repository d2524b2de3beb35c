"""Ends the autocast region before the backward pass: that statement and those behind it are indented less."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.reading import Function, reading
from stages._source.rewriting.statements import dedent
from stages.logic.constructors import autocasts
from stages.logic.mending import scope_of, view_of
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.rewriting.reading import Reading
    from stages.logic.view import View
    from verifier.api import Finding, FixContext

# calls of which it makes no difference to a model whether autocast is on
_AFTER = frozenset(
    [
        *("backward", "manual_backward", "scale", "step", "unscale_", "update", "zero_grad", "get_scale", "is_enabled"),
        *("clip_grad_norm_", "clip_grad_value_", "parameters", "named_parameters", "set_grad_enabled", "get_last_lr"),
        *("item", "detach", "cpu", "numpy", "tolist", "append", "extend", "print", "log", "log_dict", "info", "debug"),
        *("warning", "add_scalar", "set_postfix", "set_description", "format", "get", "join", "len", "str", "int"),
        *("float", "perf_counter", "time", "synchronize", "isfinite", "state_dict", "save"),
    ]
)


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if view is None or read is None or call is None:
        return None
    statement = _in_region(view, read, call)
    region = read.parents.get(statement) if statement is not None else None
    if statement is None or not isinstance(region, ast.With) or len(region.items) != 1:
        return None
    block = region.body
    moved = block[block.index(statement) :]
    if len(moved) == len(block):
        return None
    edits = dedent(read.text, moved, read.text.indent(region.lineno))
    if not edits:
        return None
    calls = [node for item in moved for node in ast.walk(item) if isinstance(node, ast.Call)]
    harmless = all(last_name(node.func) in _AFTER for node in calls)
    return Repair(
        edits={path: edits},
        what=f"ends the autocast region before line {statement.lineno}",
        safety="safe" if harmless and not _computes(moved) else "unsafe",
    )


def _in_region(view: View, read: Reading, call: ast.Call) -> ast.stmt | None:
    """Return the statement of an autocast region that holds the backward pass, or the only call of its function."""
    found = _statement_of_region(view, read, call)
    function = read.function(call)
    if found is not None or isinstance(function, ast.Module):
        return found
    callers = [node for node in read.nodes(read.tree, ast.Call) if last_name(node.func) == function.name]
    return _statement_of_region(view, read, callers[0]) if len(callers) == 1 else None


def _statement_of_region(view: View, read: Reading, call: ast.Call) -> ast.stmt | None:
    inner: ast.AST = call
    for outer in read.around(call):
        if isinstance(outer, Function | ast.For | ast.While | ast.AsyncFor):
            return None  # what a loop does before the backward pass of its next turn needs autocast again
        if isinstance(outer, ast.With) and any(_is_autocast(view, item.context_expr) for item in outer.items):
            return inner if isinstance(inner, ast.stmt) and inner in outer.body else None
        inner = outer
    return None


def _is_autocast(view: View, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and bool(autocasts(view.origins(node.func, scope_of(view, node))))


def _computes(moved: Sequence[ast.stmt]) -> bool:
    """Say whether the statements multiply matrices with an operator, which autocast would have run in half."""
    return any(isinstance(node, ast.MatMult) for item in moved for node in ast.walk(item))


FIX = Fix(
    rule="AMP207",
    safety="safe",
    summary=(
        "Ends the `with` block before the backward pass. Unsafe where the statements behind it call more than what"
        " belongs to an optimizer step, for they then run in full precision."
    ),
    repair=_repair,
    declines="a decorator or a shared `with` makes the region, it would be left empty, or a loop stands in between",
)
