"""Has accelerate clip the gradients, where they are complete."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import indent, lines_of
from stages.logic.accelerators import accelerator_of
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext

_METHODS = frozenset(["clip_grad_norm_", "clip_grad_value_"])
_KEYWORDS = frozenset(["parameters", "max_norm", "norm_type", "clip_value"])


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None or any(item.arg not in _KEYWORDS for item in call.keywords):
        return None
    accelerator = accelerator_of(read, call)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if not accelerator or method not in _METHODS:
        return None
    edits = [Edit(*read.text.span(call.func), f"{accelerator}.{method}")]
    if _accumulates(read):
        statement = read.statement(call)
        moved = indent(read.text, [statement]) if isinstance(statement, ast.Expr) else None
        span = lines_of(read.text, statement)
        if moved is None or span is None:
            return None
        test = f"{read.text.indent(statement.lineno)}if {accelerator}.sync_gradients:\n"
        edits = [Edit(span[0], span[0], test), *moved, *edits]
    return Repair(edits={read.path: tuple(edits)}, what=f"writes `{accelerator}.{method}(...)`")


def _accumulates(read: Reading) -> bool:
    return "gradient_accumulation" in read.text.text or ".accumulate(" in read.text.text


FIX = Fix(
    rule="AMP505",
    safety="safe",
    summary="Writes `accelerator.clip_grad_norm_(...)`, under `accelerator.sync_gradients` where gradients accumulate.",
    repair=_repair,
    declines="the function does not name the accelerator, or passes arguments that its method does not take",
)
