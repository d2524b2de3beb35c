"""AMP217: an autocast context of one half type is entered inside one of the other."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.logic.engine.events import AutocastEntered
from stages.logic.engine.values import Autocast
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place
    from stages.logic.engine.state import State

RULE = RuleInfo(
    code="AMP217",
    name="nested-autocast-dtype",
    severity=Severity.HIGH,
    summary="An autocast context of one half type is entered inside one of the other.",
    why=(
        "The cache of cast weights lives until the outermost context is left and does not ask for the type: a layer"
        " that ran in float16 meets bfloat16 inputs with its float16 weights and raises RuntimeError."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def step(model, x, y):
                with torch.autocast("cuda", dtype=torch.float16):
                    first = model(x)
                    with torch.autocast("cuda", dtype=torch.bfloat16):  # expect: AMP217
                        second = model(y)
                return first, second
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            class Pair(torch.nn.Module):
                def __init__(self, encoder):
                    super().__init__()
                    self.encoder = encoder

                @autocast()
                def forward(self, x, y):
                    return self.encoder(x), self.second(y)

                def second(self, y):
                    with torch.autocast("cuda", dtype=torch.bfloat16):  # expect: AMP217
                        return self.encoder(y)
        """),
        Good("""
            import torch

            def step(model, x, y):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        first = model(x)
                    with torch.autocast("cuda", enabled=False):
                        second = model(y.float())
                    with torch.autocast("cpu", dtype=torch.float16):
                        third = model(y)
                with torch.autocast("cuda", dtype=torch.float16):
                    fourth = model(x)
                with torch.autocast("cuda", dtype=torch.float16, cache_enabled=False):
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        return first, second, third, fourth, model(x)
        """),
    ),
)
_HALF = ("float16", "bfloat16")
_NO_LAYERS = frozenset(["print", "len", "range", "int", "float", "enumerate", "zip", "backward", "step", "zero_grad"])


def check(event: AutocastEntered) -> Iterator[Problem]:
    """Report the inner context; where no layer is seen to run in both, as a suspicion."""
    inner = event.context
    outer = _outer(event.state)
    if outer is None or not inner.enabled or inner.dtype not in _HALF:
        return
    context, place = outer
    if not context.cached or inner.device != context.device or context.dtype not in _HALF:
        return
    if context.dtype == inner.dtype:
        return
    yield Problem(
        place=event.place,
        message=f"autocast to {inner.dtype} is entered inside autocast to {context.dtype}",
        why="A layer that runs in both gets its weights from the cache in the wrong type and raises RuntimeError.",
        remedy="Use one type for both, or `cache_enabled=False` on the outer context.",
        related=((place, f"autocast to {context.dtype}"),),
        suspicion=not _share_a_layer(place, event.place),
    )


def _outer(state: State) -> tuple[Autocast, Place] | None:
    for active in reversed(state.contexts):
        if isinstance(active.context, Autocast):
            return (active.context, active.place) if active.context.enabled else None
    return None


def _share_a_layer(outer: Place, inner: Place) -> bool:
    """Say whether something that is no function of torch is called under both contexts, by the same name."""
    around, within = _block(outer), _block(inner)
    if around is None or within is None:
        return False
    nested = set(ast.walk(within))
    layers = {name for node in nested if (name := _layer(node))}
    others = {name for node in ast.walk(around) if node not in nested and (name := _layer(node))}
    shared = layers & others
    same_function = within in set(ast.walk(around))
    return bool(shared) if same_function else any(name.startswith("self.") for name in shared)


def _block(place: Place) -> ast.AST | None:
    """Return the `with` or the function that runs under a context."""
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, ast.With | Function):
        node = place.module.scopes.parents.get(node)
    return node


def _layer(node: ast.AST) -> str:
    """Return how what is called is spelled, if it may be a module."""
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return "" if name.startswith(("torch.", "F.", "nn.")) or name.rpartition(".")[2] in _NO_LAYERS else name


CHECKS = {AutocastEntered: check}
