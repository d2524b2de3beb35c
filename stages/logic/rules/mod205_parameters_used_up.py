"""MOD205: an iterator over parameters is used a second time, when nothing is left in it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted, lines_of
from stages.logic.blocks import always_after, loops_around
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD205",
    name="parameters-used-up",
    severity=Severity.HIGH,
    summary="An iterator over parameters is used a second time, when nothing is left in it.",
    why=(
        "`model.parameters()` and `filter(...)` give each parameter once. Whatever reads them a second time finds none:"
        " gradients are clipped of no parameter, a norm is 0, a count is 0. Nothing raises."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader):
                parameters = filter(lambda p: p.requires_grad, model.parameters())
                optimizer = torch.optim.AdamW(parameters)
                for x, y in loader:
                    optimizer.zero_grad()
                    torch.nn.functional.mse_loss(model(x), y).backward()
                    torch.nn.utils.clip_grad_norm_(parameters, 1.0)  # expect: MOD205
                    optimizer.step()
        """),
        Good("""
            import torch

            def train(model, loader):
                parameters = [p for p in model.parameters() if p.requires_grad]
                optimizer = torch.optim.AdamW(parameters)
                print(sum(p.numel() for p in parameters))
                for x, y in loader:
                    torch.nn.functional.mse_loss(model(x), y).backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()

            def make(model, fast):
                parameters = model.parameters()
                if fast:
                    return torch.optim.SGD(parameters)
                return torch.optim.AdamW(parameters)
        """),
    ),
)
_BOUND = late(rb"\s*\w+ = (?:[\w.]+arameters\(\)\Z|(?:filter|map|(?:itertools\.)?chain)\(|\([^()]* for )")
WANTED = Wanted(
    every=(b"arameters()",), test=lambda data: any(_BOUND.match(line) for line in lines_of(data, b"arameters()"))
)
_READS = frozenset(
    ["sum", "list", "tuple", "set", "sorted", "any", "all", "max", "min", "dict", "enumerate", "zip", "len"]
)
_ITERATORS = frozenset(["filter", "map", "chain", "zip"])


def look(view: View) -> Iterator[Problem]:
    """Report the second of two uses that always follow each other, or one in a loop that the iterator is older than."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, Function):
            for name, bindings in scope.bindings.items():
                if len(bindings) == 1 and bindings[0].how == "value" and _is_iterator(bindings[0].value):
                    yield from _second_use(view, name, bindings[0].node, scope)


def _is_iterator(value: ast.expr | None) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(value=model, attr="parameters" | "named_parameters")):
            return "bucket" not in last_name(model)  # DDP's gradient buckets give lists
        case ast.Call(func=func, args=args):
            inside = any("parameters()" in ast.unparse(argument) for argument in args)
            return last_name(func) in _ITERATORS and inside
        case ast.GeneratorExp(generators=[first, *_]):
            return "parameters()" in ast.unparse(first.iter)
    return False


def _second_use(view: View, name: str, bound: ast.AST, scope: Scope) -> Iterator[Problem]:
    uses = [
        seen.node
        for seen in view.module.scopes.loads
        if isinstance(seen.node, ast.Name) and seen.node.id == name and seen.scope.owner_of(name) is scope
    ]
    reading = sorted((use for use in uses if _reads(view, use, scope)), key=lambda use: (use.lineno, use.col_offset))
    for position, use in enumerate(reading):
        first = next((other for other in reading[:position] if always_after(view, other, use)), None)
        again = first is not None or bool(set(loops_around(view, use)) - set(loops_around(view, bound)))
        if again:
            yield Problem(
                place=view.place(use),
                symbol=name,
                message=f"`{name}` is an iterator, and nothing is left in it here",
                remedy=f"Make it a list where it is bound: `{name} = list(...)`.",
                related=((view.place(first), "used up here"),) if first is not None else (),
            )
            return


def _reads(view: View, use: ast.Name, scope: Scope) -> bool:
    """Say whether a use reads all of it: an optimizer, clipping, a loop, `sum` and the like."""
    match view.parent(use):
        case ast.Call(func=func, args=args) as call if any(item is use for item in args):
            name = last_name(func)
            return name in _READS or name.startswith("clip_grad") or "optimizer" in view.kinds.of(call, scope)
        case ast.For(iter=over) | ast.comprehension(iter=over):
            return over is use
        case ast.ListComp(generators=[first, *_]) | ast.GeneratorExp(generators=[first, *_]):
            return first.iter is use
    return False
