"""MOD203: losses are added up, or kept in a list, together with their graphs."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.blocks import Loop, loops_around
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls, called_on, names_in
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD203",
    name="graphs-kept-in-total",
    severity=Severity.LOW,
    summary="Losses are added up, or kept in a list, together with their graphs.",
    why=(
        "A loss that was not detached holds the nodes of its graph, and a sum of losses holds those of all of them:"
        " memory grows from step to step until the total is dropped. What the backward pass saved is freed, the nodes"
        " are not, and reading the total later waits for the device."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                total = 0.0
                losses = []
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = torch.nn.functional.mse_loss(model(x), y)
                    loss.backward()
                    optimizer.step()
                    total += loss  # expect: MOD203
                    losses.append(loss)  # expect: MOD203
                return total / len(loader), losses
        """),
        Good("""
            import torch

            def train(model, loader, optimizer):
                total = 0.0
                losses = []
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = 0
                    for part in model(x):
                        loss += part.mean()
                    loss.backward()
                    optimizer.step()
                    total += loss.item()
                    losses.append(loss.detach())
                return total / len(loader), losses

            def other(model, loader, optimizer):
                total = 0.0
                for x, y in loader:
                    loss = model(x).mean()
                    loss.backward()
                    loss = loss.item()
                    total += loss
                return total

            def third(model, loader, metrics):
                total = 0.0
                for x, y in loader:
                    loss = model(x).mean()
                    loss.backward()
                    loss, _ = metrics.averages()
                    total += loss
                return total
        """),
    ),
)
_NAME = late(rb"[A-Za-z]\w*")
_FORMS = (b"+= ?", b"append(?)", b" + ?\n")  # how a loss is added


def _may_keep(data: bytes) -> bool:
    """Say whether a name on the line of a backward pass is added or appended somewhere."""
    starts = re.findall(rb"\n([^\n]*backward\([^\n]*)", data)
    names = {name for line in starts for name in _NAME.findall(line)} - {b"self", b"backward", b"scaler", b"scale"}
    return any(form.replace(b"?", name) in data for name in names for form in _FORMS)


WANTED = Wanted(every=(b"backward(",), some=(b" += ", b".append("), test=_may_keep)
_DETACHING = ("item()", "detach()", ".data", "float(", "cpu()", "tolist()", "numpy()")


def look(view: View) -> Iterator[Problem]:
    """Report sums and lists from before a loop to which the turn adds a loss whose backward pass it runs."""
    for node in view.module.scopes.scopes:
        if isinstance(node, Function | ast.Module):
            yield from _of_body(view, node.body)


def _of_body(view: View, body: list[ast.stmt]) -> Iterator[Problem]:
    backwards = backward_calls(body)
    if not backwards:
        return
    nodes = list(own_nodes(body))
    for node in sorted(nodes, key=lambda node: getattr(node, "lineno", 0)):
        added = _added(node)
        if added is None:
            continue
        total, loss = added
        loop = next((loop for loop in loops_around(view, node)), None)
        own = [call for call in backwards if loop is not None and loop in loops_around(view, call)]
        if loop is None or not any(loss in called_on(call) for call in own):
            continue
        if any(total in called_on(call) for call in backwards) or _is_detached(nodes, loss):
            continue
        if _is_rebound(nodes, loss, own[0], node):
            continue
        if _begins_outside(nodes, total, loop, view):
            yield Problem(
                place=view.place(node),
                symbol=total,
                message=f"`{total}` keeps the graph of every `{loss}` that is added to it",
                remedy=f"Add `{loss}.detach()`, or `{loss}.item()` where waiting for the device is no matter.",
            )


def _added(node: ast.AST) -> tuple[str, str] | None:
    """Return the total and the loss of `total += loss`, `total = total + loss` or `losses.append(loss)`."""
    match node:
        case ast.AugAssign(target=ast.Name(id=total), op=ast.Add(), value=value):
            loss = _loss(value)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=total), attr="append"), args=[ast.Name(id=name)]):
            loss = name
        case ast.Assign(
            targets=[ast.Name(id=total)], value=ast.BinOp(left=ast.Name(id=left), op=ast.Add(), right=right)
        ):
            loss = _loss(right) if left == total else None
        case _:
            return None
    return (total, loss) if loss is not None and loss != total else None


def _loss(value: ast.expr) -> str | None:
    """Return the tensor that is added: alone, or times or divided by something."""
    match value:
        case ast.Name(id=name):
            return name
        case ast.BinOp(left=ast.Name(id=name), op=ast.Mult() | ast.Div()):
            return name
    return None


def _is_detached(nodes: list[ast.AST], loss: str) -> bool:
    """Say whether the name may stand for something without a graph: it is bound to such a value somewhere."""
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = {name for target in targets for name in names_in(target)}
        if (
            loss in names
            and isinstance(node, ast.Assign)
            and any(word in ast.unparse(node.value) for word in _DETACHING)
        ):
            return True
    return False


def _is_rebound(nodes: list[ast.AST], loss: str, backward: ast.Call, added: ast.AST) -> bool:
    """Say whether the name stands for something else once the backward pass is done."""
    return any(
        isinstance(node, ast.Name)
        and node.id == loss
        and isinstance(node.ctx, ast.Store)
        and backward.lineno < node.lineno <= getattr(added, "lineno", 0)
        for node in nodes
    )


def _begins_outside(nodes: list[ast.AST], total: str, loop: Loop, view: View) -> bool:
    """Say whether a total is bound before the loop, to a number or an empty list, and not in it."""
    bound = [
        node
        for node in nodes
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == total for target in node.targets)
        and total not in set(names_in(node.value))
    ]
    inside = any(loop in loops_around(view, node) for node in bound)
    begins = any(_is_beginning(node.value) and node.lineno < loop.lineno for node in bound)
    return bool(bound) and begins and not inside


def _is_beginning(value: ast.expr) -> bool:
    number = isinstance(value, ast.Constant) and value.value in (0, 0.0)
    return number or (isinstance(value, ast.List) and not value.elts)
