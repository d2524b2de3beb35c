"""AMP218: an autocast context is made with a type that it cannot cast to."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.autocasts import argument, device_of, made_contexts
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP218",
    name="autocast-unsupported-dtype",
    severity=Severity.MEDIUM,
    summary="An autocast context is made with a type that it cannot cast to.",
    why=(
        "Autocast casts to float16 or bfloat16. With any other type a context for the CPU, XPU or MPS warns once and"
        " turns itself off; a type given as text raises TypeError where the context is entered."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def step(model, batch):
                with torch.autocast("cpu", dtype=torch.float32):  # expect: AMP218
                    first = model(batch)
                with torch.autocast("cuda", dtype="bfloat16"):  # expect: AMP218
                    second = model(batch)
                return first, second
        """),
        Good("""
            import torch

            def step(model, batch, name, amp):
                dtype = torch.bfloat16 if name == "bf16" else torch.float16
                with torch.autocast("cpu", dtype=dtype):
                    first = model(batch)
                with torch.autocast("cuda", dtype=torch.float32):
                    second = model(batch)
                with torch.autocast("cpu", dtype=torch.float32, enabled=False):
                    third = model(batch)
                with torch.autocast("cpu", dtype=torch.bfloat16 if amp else torch.float32, enabled=amp):
                    return first, second, third, model(batch)
        """),
    ),
)
_REFUSED = frozenset(
    ["torch.float32", "torch.float", "torch.float64", "torch.double", "torch.int8", "torch.uint8", "torch.int32"]
)
_STRICT = ("cpu", "xpu", "mps")


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report literal types: text on any device, and full precision where the device refuses it."""
    for seen in made_contexts(view):
        dtype = argument(view, seen, "dtype")
        if isinstance(dtype, ast.Constant) and isinstance(dtype.value, str):
            yield _problem(view, dtype, "raises TypeError when it is entered", f"torch.{dtype.value}")
        elif dtype is not None and _is_refused(view, seen, dtype):
            yield _problem(view, dtype, "warns and turns itself off", "torch.bfloat16")


def _is_refused(view: View, seen: Seen, dtype: ast.expr) -> bool:
    enabled = argument(view, seen, "enabled")
    if enabled is not None and not (isinstance(enabled, ast.Constant) and enabled.value is True):
        return False
    found = view.origins(dtype, seen.scope)
    return device_of(view, seen) in _STRICT and bool(found) and found <= _REFUSED


def _problem(view: View, dtype: ast.expr, does: str, instead: str) -> Problem:
    return Problem(
        place=view.place(dtype),
        message=f"autocast cannot cast to `{ast.unparse(dtype)}`: it {does}",
        why="Nothing is cast; the code runs in full precision, or not at all.",
        remedy=f"Write `dtype={instead}`, or leave autocast out.",
    )
