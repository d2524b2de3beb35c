"""AMP211: the autocast class itself is used where a context is meant: its call is missing."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.autocasts import is_autocast_class
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP211",
    name="autocast-missing-parens",
    severity=Severity.HIGH,
    summary="The autocast class is used as a decorator or context without being called.",
    why=(
        "`@torch.autocast` passes the function as the device type and raises where it is defined;"
        " `@torch.cuda.amp.autocast` makes a context of it, which raises at the first call in current torch and in"
        " older ones returns a wrapper instead of the result. `with torch.autocast:` is no context manager at all."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            class Net(torch.nn.Module):
                @autocast  # expect: AMP211
                def forward(self, x):
                    return x @ x

            @torch.autocast  # expect: AMP211
            def loss(x, y):
                return (x - y).square().mean()
        """),
        Bad("""
            import torch

            def step(model, batch):
                with torch.no_grad(), torch.autocast:  # expect: AMP211
                    return model(batch)
        """),
        Good("""
            import torch
            from torch.cuda.amp import autocast

            class Net(torch.nn.Module):
                @autocast()
                def forward(self, x):
                    return x @ x

            def step(model, batch, flag):
                cast = torch.autocast("cuda", enabled=flag)
                with cast:
                    return model(batch)
        """),
        Good("""
            from contextlib import contextmanager
            import torch

            @contextmanager
            def autocast():
                with torch.autocast("cuda"):
                    yield

            def step(model, batch, autocast=torch.autocast("cuda")):
                with autocast:
                    return model(batch)
        """),
    ),
)


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report decorators and `with` items that are the class."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, Function | ast.ClassDef) and scope.parent is not None:
            for decorator in node.decorator_list:
                if is_autocast_class(view, decorator, scope.parent):
                    yield _problem(view, decorator, "decorates with")
    for seen in view.module.scopes.contexts:
        if isinstance(seen.node, ast.withitem) and is_autocast_class(view, seen.node.context_expr, seen.scope):
            yield _problem(view, seen.node.context_expr, "enters")


def _problem(view: View, node: ast.expr, does: str) -> Problem:
    name = ast.unparse(node)
    return Problem(
        place=view.place(node),
        message=f"this {does} the class `{name}`, which was never called",
        why="The class is no context and no decorator; an instance of it is both.",
        remedy='Call it with what it needs: `torch.autocast("cuda", dtype=...)`.',
    )
