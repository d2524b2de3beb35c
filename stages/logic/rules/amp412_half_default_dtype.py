"""AMP412: The default dtype is half while the program trains."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP412",
    name="half-default-dtype",
    severity=Severity.HIGH,
    summary="The default dtype is half while the program trains.",
    why=(
        "Every tensor that is made without a dtype is half then: parameters, optimizer state, masks, learning-"
        " rate arithmetic on tensors. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            torch.set_default_dtype(torch.float16)  # expect: AMP412

            def train(model, loader, optimizer):
                for x in loader:
                    model(x).mean().backward()
                    optimizer.step()
        """),
        Good("""
            import torch

            def build(cls):
                torch.set_default_dtype(torch.bfloat16)
                model = cls()
                torch.set_default_dtype(torch.float32)
                return model

            def train(model, loader, optimizer):
                for x in loader:
                    model(x).mean().backward()
                    optimizer.step()
        """),
        Good("""
            import torch

            torch.set_default_dtype(torch.float16)

            def generate(model, x):
                return model(x)
        """),
    ),
)
_SETTERS = frozenset(["torch.set_default_dtype", "torch.set_default_tensor_type"])
_LOW = late(r"\b(?:float16|bfloat16|half|HalfTensor|BFloat16Tensor)\b")


READS = Wanted(every=(b"set_default", b"backward"))


def inspect(view: View) -> Iterator[Problem]:
    """Report a half default that is set once, in a file that computes gradients, and never set back."""
    found = []
    trains = False
    for seen in view.calls():
        call = seen.node
        if not isinstance(call, ast.Call):
            continue
        trains = trains or (isinstance(call.func, ast.Attribute) and call.func.attr == "backward")
        if "set_default" in last_name(call.func) and _SETTERS & view.origins(call.func, seen.scope):
            found.append(call)
    if trains and len(found) == 1 and found[0].args and _LOW.search(ast.unparse(found[0].args[0])):
        yield Problem(
            place=view.place(found[0]),
            message=f"`{ast.unparse(found[0])}` makes everything half that is created without a dtype",
            remedy="Leave the default at float32 and run the forward under `torch.autocast`.",
        )
