"""MOD202: a backward pass starts from a value that was cut from its graph, so nothing is trained."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.blocks import always_after
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD202",
    name="loss-without-graph",
    severity=Severity.HIGH,
    summary="A backward pass starts from a value that was cut from its graph, so nothing is trained.",
    why=(
        "A detached tensor, or a new one made from the value of another, has no history. `backward` on it raises, and"
        " where it was told to require gradients it computes the gradient of itself, 1, and ends: no parameter gets"
        " any, every step leaves the model as it is, and nothing says so."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = torch.tensor(torch.nn.functional.mse_loss(model(x), y).item(), requires_grad=True)
                    loss.backward()  # expect: MOD202
                    optimizer.step()
        """),
        Bad("""
            import torch

            def step(model, x, optimizer):
                loss = model(x).mean().detach()
                loss.requires_grad_(True)
                loss.backward()  # expect: MOD202
                optimizer.step()
        """),
        Good("""
            import torch

            def step(model, x, optimizer):
                loss = model(x).mean()
                shown = loss.detach()
                loss.backward()
                optimizer.step()
                return shown

            def leaf():
                x = torch.tensor(2.0, requires_grad=True)
                x.backward()
                return x.grad
        """),
    ),
)
_START = late(rb"[\s(](\w+(?:\.\w+)*(?:\(\))?)\.backward\(")


def _may_start(data: bytes) -> bool:
    """Say whether a backward pass starts from a value that was cut, or from a name that is bound to one."""
    lines = b"\n".join(re.findall(rb"\n[^\n]*\.backward\(", data))
    for start in {found[1] for found in _START.finditer(lines)}:
        if start.endswith((b"()", b".data")):
            return True
        bound = rb"\b" + re.escape(start) + rb" = [^\n]*(?:detach\(\)|\.data\b|requires_grad)"
        if re.search(bound, data) or start + b".requires_grad" in data:
            return True
    return False


WANTED = Wanted(every=(b"backward(",), some=(b"requires_grad", b"detach()", b".data"), test=_may_start)
_NEW = frozenset(["torch.tensor", "torch.as_tensor", "torch.autograd.Variable", "torch.FloatTensor", "torch.Tensor"])


def look(view: View) -> Iterator[Problem]:
    """Report backward passes whose value was last bound, on every path, to something without a graph."""
    for node, scope in view.module.scopes.scopes.items():
        if not isinstance(node, Function):
            continue
        assigned = [item for item in own_nodes(node.body) if isinstance(item, ast.Assign | ast.AugAssign)]
        for call in backward_calls(node.body):
            assert isinstance(call.func, ast.Attribute)
            start = call.func.value
            cut = _cut(view, start, scope)
            if cut is None and isinstance(start, ast.Name):
                last = _last(view, start.id, call, assigned)
                cut = _cut(view, last.value, scope) if last is not None else None
            if cut is not None:
                yield Problem(
                    place=view.place(call),
                    message=f"`{ast.unparse(start)}` {cut}: its backward pass reaches no parameter",
                    remedy="Start from the loss as the model computed it.",
                )


def _last(view: View, name: str, call: ast.Call, assigned: list[ast.Assign | ast.AugAssign]) -> ast.Assign | None:
    """Return what a name was bound to last before the call, where no other binding may come between."""
    own = [
        item
        for item in assigned
        for target in (item.targets if isinstance(item, ast.Assign) else [item.target])
        if isinstance(target, ast.Name) and target.id == name and item.lineno <= call.lineno
    ]
    last = max(own, key=lambda item: item.lineno, default=None)
    return last if isinstance(last, ast.Assign) and always_after(view, last, call) else None


def _cut(view: View, value: ast.expr, scope: Scope) -> str | None:
    match value:
        case ast.Call(func=ast.Attribute(attr="detach")):
            return "is detached"
        case ast.Attribute(attr="data"):
            return "is the bare data of a tensor"
        case ast.Call(func=ast.Attribute(value=inner, attr="clone" | "requires_grad_" | "to" | "cuda")):
            return _cut(view, inner, scope)
        case ast.Call(args=[given, *_]) if _requires(value) and view.origins(value.func, scope) & _NEW:
            return None if _is_plain(given) else f"is a new tensor made by `{last_name(value.func)}`"
    return None


def _requires(call: ast.Call) -> bool:
    return any(keyword.arg == "requires_grad" and ast.unparse(keyword.value) == "True" for keyword in call.keywords)


def _is_plain(given: ast.expr) -> bool:
    """Say whether the value comes from no model: literals, and names that do not speak of a loss."""
    return re.search(r"loss|item\(\)|output|logits|model|criterion", ast.unparse(given), re.IGNORECASE) is None
