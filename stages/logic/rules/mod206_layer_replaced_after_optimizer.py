"""MOD206: a layer of a model is replaced after the optimizer took its parameters, so the new one is never trained."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.blocks import always_after
from stages.logic.problems import Problem
from stages.logic.training_code import LAYERS
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD206",
    name="layer-replaced-after-optimizer",
    severity=Severity.HIGH,
    summary="A layer of a model is replaced after the optimizer took its parameters, so the new one is never trained.",
    why=(
        "An optimizer holds the parameters that the model had when it was made. Those of the old layer get no gradients"
        " any more, those of the new one get gradients and no step: the head of the model stays random."
    ),
    examples=(
        Bad("""
            import torch
            from torch import nn

            def build(model, classes):
                optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
                model.fc = nn.Linear(512, classes)  # expect: MOD206
                return model, optimizer
        """),
        Good("""
            import torch
            from torch import nn

            def build(model, classes):
                model.fc = nn.Linear(512, classes)
                optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
                model.act = nn.ReLU()
                return model, optimizer

            def grow(model):
                optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
                model.extra = nn.Linear(8, 8)
                optimizer.add_param_group({"params": model.extra.parameters()})
                return optimizer

            def count(model):
                optimizer = torch.optim.AdamW(model.body.parameters(), lr=1e-4)
                model.head = nn.Linear(8, 8)
                return optimizer
        """),
    ),
)
WANTED = Wanted(
    every=(b".parameters()",),
    some=(b"optim.", b"import Adam", b"import SGD"),
    never=(b"add_param_group",),
    pattern=late(rb"\w\.\w+ = (?:torch\.)?nn\.[A-Z]"),
)


def look(view: View) -> Iterator[Problem]:
    """Report layers that are put into a model, all of whose parameters an optimizer took before on every path."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, Function):
            assigned = sorted(
                (item for item in own_nodes(node.body) if isinstance(item, ast.Assign)), key=lambda item: item.lineno
            )
            made = [(item, model) for item in assigned if (model := _optimized(view, item, scope)) is not None]
            for item in assigned if made else ():
                taken = _taken_before(view, item, made, scope)
                if taken is not None:
                    yield _problem(view, item, taken)


def _taken_before(view: View, item: ast.Assign, made: list[tuple[ast.Assign, str]], scope: Scope) -> ast.Assign | None:
    """Return where an optimizer took the parameters of the model that a new layer is put into."""
    target = item.targets[0]
    if not isinstance(target, ast.Attribute) or not isinstance(item.value, ast.Call):
        return None
    name = ast.unparse(target)
    taken = next((one for one, model in made if name.startswith(f"{model}.")), None)
    if taken is None or any(one.lineno > item.lineno for one, _ in made):
        return None
    is_layer = bool(view.origins(item.value.func, scope) & LAYERS)
    return taken if is_layer and always_after(view, taken, item) else None


def _optimized(view: View, node: ast.Assign, scope: Scope) -> str | None:
    """Return the model whose parameters an optimizer is made of."""
    match node.value:
        case ast.Call(args=[ast.Call(func=ast.Attribute(value=model, attr="parameters")), *_]) as call:
            return ast.unparse(model) if "optimizer" in view.kinds.of(call, scope) else None
    return None


def _problem(view: View, item: ast.Assign, taken: ast.Assign) -> Problem:
    return Problem(
        place=view.place(item),
        message=f"`{ast.unparse(item.targets[0])}` is new, and the optimizer that was made before does not train it",
        remedy="Make the optimizer after the model is complete, or call `add_param_group`.",
        related=((view.place(taken), "took the parameters here"),),
    )
