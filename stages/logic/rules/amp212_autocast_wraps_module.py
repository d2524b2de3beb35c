"""AMP212: an autocast context is called on a module, which makes a plain function of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP212",
    name="autocast-wraps-module",
    severity=Severity.HIGH,
    summary="An autocast context is called on a module, which makes a plain function of it.",
    why=(
        "Called on something, a context returns a function that runs it under autocast. Of a module only the call is"
        " left: `parameters()`, `train()`, `state_dict()` and `to()` raise AttributeError where they are next used."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def build(lr):
                model = torch.nn.Linear(8, 2)
                model = torch.autocast("cuda", dtype=torch.bfloat16)(model)  # expect: AMP212
                return model, torch.optim.SGD(model.parameters(), lr=lr)
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            class Trainer:
                def __init__(self, net):
                    cast = autocast()
                    self.net = cast(net)  # expect: AMP212

                def evaluate(self, batch):
                    self.net.eval()
                    return self.net(batch)
        """),
        Good("""
            import torch

            def build(model, lr):
                model.forward = torch.autocast("cuda", dtype=torch.bfloat16)(model.forward)
                return model, torch.optim.SGD(model.parameters(), lr=lr)

            def predict(model, batch):
                model.eval()
                forward = torch.autocast("cuda")(model)
                return forward(batch)
        """),
        Good("""
            import torch

            def decorated(function):
                function.train = 1
                return torch.autocast("cuda")(function)
        """),
    ),
)
_OF_MODULES = frozenset(
    ["parameters", "named_parameters", "train", "eval", "state_dict", "load_state_dict", "modules", "cuda", "zero_grad"]
)


READS = Wanted(every=(b"cast",), some=tuple(f".{name}".encode() for name in sorted(_OF_MODULES)))


def inspect(view: View) -> Iterator[Problem]:
    """Report such a call where its result is used as a module later on."""
    for seen in view.calls():
        match view.parent(seen.node), seen.node:
            case ast.Assign(targets=[target]), ast.Call(func=func, args=[given], keywords=[]):
                wraps = _names_an_object(given) and "autocast" in view.kinds.of(func, seen.scope)
                used = _used_as_module(view, target, seen.scope, seen.node) if wraps else None
            case _:
                continue
        if used is None:
            continue
        yield Problem(
            place=view.place(seen.node),
            message=f"autocast turns `{ast.unparse(given)}` into a plain function, then used as a module",
            why=f"A function has no `{used.attr}`, so line {used.lineno} raises AttributeError.",
            remedy="Write `model.forward = autocast(...)(model.forward)`, or enter the context where the model runs.",
            related=((view.place(used), "used as a module"),),
        )


def _names_an_object(given: ast.expr) -> bool:
    return isinstance(given, ast.Name) or (isinstance(given, ast.Attribute) and given.attr != "forward")


def _used_as_module(view: View, target: ast.expr, scope: Scope, call: ast.AST) -> ast.Attribute | None:
    """Return a use of the target that only modules know: below in the same function, of an attribute anywhere."""
    wanted = ast.unparse(target)
    line = getattr(call, "lineno", 0)
    for load in view.module.scopes.loads:
        node = load.node
        if not isinstance(node, ast.Attribute) or node.attr not in _OF_MODULES or ast.unparse(node.value) != wanted:
            continue
        if isinstance(target, ast.Attribute) or (load.scope is scope and node.lineno > line):
            return node
    return None
