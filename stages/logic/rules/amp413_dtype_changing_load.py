"""AMP413: Loading with `assign=True` makes a model half."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.origins import resolve_bindings
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP413",
    name="dtype-changing-load",
    severity=Severity.HIGH,
    summary="Loading with `assign=True` makes a model half.",
    why=(
        "`assign=True` puts the tensors of the checkpoint into the model instead of copying their values, with"
        " their dtype: a float32 model is float16 from there on. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def restore(model, path):
                state = {k: v.half() for k, v in torch.load(path).items()}
                model.load_state_dict(state, assign=True)  # expect: AMP413
                optimizer = torch.optim.AdamW(model.parameters())
                model(torch.ones(1)).backward()
                optimizer.step()
        """),
        Good("""
            import torch

            def restore(model, path):
                half = {k: v.half() for k, v in torch.load(path).items()}
                model.load_state_dict(half)
                model.load_state_dict({k: v.float() for k, v in half.items()}, assign=True)
                model.load_state_dict(torch.load(path), assign=True)
                model(torch.ones(1)).backward()
        """),
    ),
)
_LOW = ("half", "bfloat16")


READS = Wanted(every=(b"assign", b"load_state_dict", b"backward"))


def inspect(view: View) -> Iterator[Problem]:
    """Report assigning loads of a state that the same code casts to half, where gradients are computed then."""
    calls = [(seen.node, seen.scope) for seen in view.calls() if isinstance(seen.node, ast.Call)]
    if not any(last_name(call.func) == "backward" for call, _ in calls):
        return
    for call, scope in calls:
        if last_name(call.func) != "load_state_dict" or not call.args:
            continue
        if not any(item.arg == "assign" and _is_true(item.value) for item in call.keywords):
            continue
        values = [call.args[0]]
        if isinstance(call.args[0], ast.Name):
            bound = resolve_bindings(view.project, call.args[0], scope)
            values = [item.value for item in bound if item.value is not None] if len(bound) == 1 else []
        if any(_casts(value) for value in values):
            yield Problem(
                place=view.place(call),
                message="the state is half, and `assign=True` makes the parameters of the model half as well",
                remedy="Leave `assign` out, so that the values are copied into the model's float32 parameters.",
            )


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _casts(value: ast.expr) -> bool:
    """Say whether a dictionary comprehension casts what it keeps to half."""
    if not isinstance(value, ast.DictComp):
        return False
    cast = value.value
    if not isinstance(cast, ast.Call) or not isinstance(cast.func, ast.Attribute):
        return False
    named = [item.attr for item in cast.args if isinstance(item, ast.Attribute)]
    return cast.func.attr in _LOW or (cast.func.attr == "to" and any(name in ("float16", *_LOW) for name in named))
