"""AMP212: an autocast context is called on a module, which makes a plain function of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
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
    uses = _uses(view)
    for seen in view.calls():
        match view.parent(seen.node), seen.node:
            case ast.Assign(targets=[target]), ast.Call(func=func, args=[given], keywords=[]):
                used = _used_as_module(uses, target, seen) if _names_an_object(given) else None
            case _:
                continue
        if used is None or "autocast" not in view.kinds.of(func, seen.scope):  # which may have other files read
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


def _uses(view: View) -> dict[str, list[Seen]]:
    """Return the uses of what only modules know, by the text of the object that it is asked of."""
    found: dict[str, list[Seen]] = {}
    for load in view.module.scopes.loads:
        if isinstance(load.node, ast.Attribute) and load.node.attr in _OF_MODULES:
            found.setdefault(ast.unparse(load.node.value), []).append(load)
    return found


def _used_as_module(uses: dict[str, list[Seen]], target: ast.expr, call: Seen) -> ast.Attribute | None:
    """Return a use of the target that only modules know: below in the same function, of an attribute anywhere."""
    line = getattr(call.node, "lineno", 0)
    for load in uses.get(ast.unparse(target), ()):
        node = load.node
        below = load.scope is call.scope and getattr(node, "lineno", 0) > line
        if isinstance(node, ast.Attribute) and (below or isinstance(target, ast.Attribute)):
            return node
    return None
