"""AMP508: a Lightning hook looks at gradients before they are unscaled."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import own_nodes
from stages._source.wanted import Wanted
from stages.logic.frameworks import lightning_modules, methods, trains_in_half
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP508",
    name="lightning-hook-sees-scaled",
    severity=Severity.MEDIUM,
    summary="`on_after_backward` reads gradients, which under 16-mixed still carry the loss scale there.",
    why=(
        "Lightning unscales between `on_after_backward` and `on_before_optimizer_step`. Norms logged in the first are"
        " up to 65536 times too large and jump whenever the scale changes; thresholds on them mean nothing."
    ),
    mode="both",
    examples=(
        Bad("""
            import lightning as L

            class Net(L.LightningModule):
                def on_after_backward(self):
                    total = sum(p.grad.norm() for p in self.parameters())  # expect: AMP508
                    self.log("grad_norm", total)

            trainer = L.Trainer(precision="16-mixed")
        """),
        Good("""
            import lightning as L

            class Net(L.LightningModule):
                def on_before_optimizer_step(self, optimizer):
                    total = sum(p.grad.norm() for p in self.parameters())
                    self.log("grad_norm", total)

            trainer = L.Trainer(precision="16-mixed")
        """),
        Good("""
            import lightning as L

            class Net(L.LightningModule):
                def on_after_backward(self):
                    unused = [name for name, p in self.named_parameters() if p.grad is None]
                    self.log("unused", len(unused))

            trainer = L.Trainer(precision="16-mixed")
        """),
    ),
)
_NUMBERS = frozenset(["norm", "mean", "std", "max", "min", "abs", "sum", "pow", "item"])


READS = Wanted(every=(b"on_after_backward",))


def inspect(view: View) -> Iterator[Problem]:
    """Report a number made of gradients in that hook, once for each hook, where float16 is on."""
    for cls in lightning_modules(view):
        for name, method in methods(cls):
            if name != "on_after_backward":
                continue
            read = [node for node in own_nodes(getattr(method.node, "body", [])) if _makes_a_number(node)]
            if read and trains_in_half(view):
                places = [view.place(node) for node in read]
                yield Problem(
                    place=min(places, key=lambda place: place.line),
                    message="on_after_backward reads gradients that still carry the loss scale",
                    why="The numbers are multiplied by the current scale.",
                    remedy="Move it to `on_before_optimizer_step`, where gradients are unscaled.",
                )


def _makes_a_number(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=attr)) if attr in _NUMBERS:
            return any(isinstance(part, ast.Attribute) and part.attr == "grad" for part in ast.walk(owner))
        case ast.Call(func=ast.Attribute(attr="grad_norm") | ast.Name(id="grad_norm")):
            return True
    return False
