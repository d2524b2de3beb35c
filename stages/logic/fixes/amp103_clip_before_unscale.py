"""Unscales the gradients before they are clipped."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import Function, reading
from stages._source.rewriting.statements import before, move_before
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.rewriting.reading import Reading
    from stages.logic.scaler_calls import ScalerCall
    from verifier.api import Edit, Finding, FixContext, Safety

_ASKED = (  # what may be asked a second time: it calls nothing
    *(ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Name, ast.Attribute, ast.Constant),
    *(ast.boolop, ast.unaryop, ast.cmpop, ast.expr_context),
)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    clip = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or clip is None:
        return None
    function, line = read.function(clip), clip.lineno
    later = [item for item in scaler_calls(read, function, "step", "unscale_") if item.statement.lineno > line]
    steps = [item for item in later if item.method == "step"]
    if not steps:
        return _in_method(read, clip, function)
    if len({(item.scaler, item.argument) for item in steps}) != 1:
        return None  # whose gradients are clipped cannot be told
    step = steps[0]
    there = [item for item in later if item.method == "unscale_" and item.statement.lineno < step.statement.lineno]
    if there:
        return _moved(read, clip, step, there)
    return _inserted(read, clip, step)


def _moved(read: Reading, clip: ast.Call, step: ScalerCall, there: Sequence[ScalerCall]) -> Repair | None:
    """Move an `unscale_` that comes too late in front of the clipping."""
    target = read.statement(clip)
    if len(there) != 1 or there[0].statement not in read.block(target) or there[0].argument != step.argument:
        return None
    edits = move_before(read.text, there[0].statement, target)
    return _made(read, edits, f"moves `{_unscale(step)}` before the clipping")


def _inserted(read: Reading, clip: ast.Call, step: ScalerCall) -> Repair | None:
    """Insert `unscale_` once for every step: before the loop over parameters, under the test that guards the step."""
    outer = read.block(step.statement)
    guard: ast.If | None = None
    inside = [read.statement(clip), *(node for node in read.around(read.statement(clip)) if isinstance(node, ast.stmt))]
    if not any(node in outer for node in inside):
        guard = _guard(read, step)
        if guard is None or not any(node in read.block(guard) for node in inside):
            return None
        outer = read.block(guard)
    target = inside[0]
    loops_of_step = list(read.around(step.statement))
    for node in inside:
        if isinstance(node, _LOOPS) and node not in loops_of_step:
            target = node
    code = _unscale(step) if guard is None else f"if {read.code(guard.test)}:\n    {_unscale(step)}"
    edit = before(read.text, target, code)
    return _made(read, (edit,) if edit is not None else None, f"inserts `{_unscale(step)}` before the clipping")


def _guard(read: Reading, step: ScalerCall) -> ast.If | None:
    """Return the `if` that holds the step, where its test can be asked twice."""
    outer = read.parents.get(step.statement)
    if not isinstance(outer, ast.If) or step.statement not in outer.body:
        return None
    plain = all(isinstance(node, _ASKED) for node in ast.walk(outer.test))
    return outer if plain and "\n" not in read.code(outer.test) else None


def _in_method(read: Reading, clip: ast.Call, function: Function | ast.Module) -> Repair | None:
    """Insert it in a method that only clips, with what the other methods of its class step."""
    owner = read.parents.get(function)
    if not isinstance(owner, ast.ClassDef) or isinstance(function, ast.Module):
        return None
    methods = [node for node in owner.body if isinstance(node, Function)]
    steps = [item for node in methods for item in scaler_calls(read, node, "step")]
    said = {(item.scaler, item.argument) for item in steps}
    if len(said) != 1 or not all(text.startswith("self.") for text in said.copy().pop()):
        return None
    edit = before(read.text, read.statement(clip), _unscale(steps[0]))
    what = f"inserts `{_unscale(steps[0])}` before the clipping"
    return _made(read, (edit,) if edit is not None else None, what, "unsafe")


def _unscale(step: ScalerCall) -> str:
    return f"{step.scaler}.unscale_({step.argument})"


def _made(read: Reading, edits: tuple[Edit, ...] | None, what: str, safety: Safety = "safe") -> Repair | None:
    return Repair(edits={read.path: edits}, what=what, safety=safety) if edits else None


FIX = Fix(
    rule="AMP103",
    safety="safe",
    summary=(
        "Inserts `scaler.unscale_(optimizer)` before the clipping, once for every step, or moves one that comes too"
        " late. Unsafe in a method that only clips, as its callers are not all known."
    ),
    repair=_repair,
    declines="several optimizers are stepped behind the clipping, or the code there does not name scaler and optimizer",
)
