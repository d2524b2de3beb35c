"""AMP144: gradients of several micro-batches are summed and not averaged, or cleared before they are used."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages._source.testfiles import is_test_file
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP144",
    name="accumulation-miscounted",
    severity=Severity.LOW,
    summary="Gradients of several micro-batches are summed and never averaged, or cleared before the step.",
    why=(
        "Each backward adds to the gradients. Without a division the sum of k micro-batches is k times as large as the"
        " gradient of one batch: the learning rate and every threshold mean something else, and float16 overflows"
        " sooner. Cleared in each turn, all but the last micro-batch are lost."
    ),
    mode="static",
    unseen=(
        "Whether a sum was meant to be an average only the text says: a run sees gradients, not what they "
        "should have been."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, accumulate):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()  # expect: AMP144
                    if (i + 1) % accumulate == 0:
                        scaler.step(optimizer)
                        scaler.update()
                        optimizer.zero_grad()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, accumulate):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad()  # expect: AMP144
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y) / accumulate
                    scaler.scale(loss).backward()
                    if (i + 1) % accumulate == 0:
                        scaler.step(optimizer)
                        scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, accumulate):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                        loss = loss / accumulate
                    scaler.scale(loss).backward()
                    if (i + 1) % accumulate == 0:
                        scaler.step(optimizer)
                        scaler.update()
                        optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, log_every):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    if (i + 1) % log_every == 0:
                        print(loss.item())
        """),
    ),
)

_DEEPEST = 4  # assignments that a loss is followed back through


READS = Wanted(every=(b"caler", b"backward"))


def inspect(view: View) -> Iterator[Problem]:
    """Report scaled backward calls in a loop whose step waits for every so many turns."""
    for seen in () if is_test_file(view.module.path) else view.calls():
        loss = _scaled_backward(seen.node)
        loop = None if loss is None else _loop(view, seen.node)
        if loss is None or loop is None:
            continue
        waiting = _waiting_step(view, loop, seen.node)
        if waiting is None:
            continue
        cleared = _cleared_each_turn(view, loop, waiting)
        if cleared is not None:
            yield _cleared(view, cleared, waiting)
        elif not _divided(view, loss, loop, waiting):
            yield _summed(view, seen.node, waiting)


def _summed(view: View, node: ast.AST, waiting: ast.If) -> Problem:
    return Problem(
        place=view.place(node),
        message="the gradients of several micro-batches are summed here, and nothing in sight averages them",
        why="The sum grows with their number, and so do the step and the risk of an overflow in float16.",
        remedy="Divide the loss by the number of micro-batches before it is scaled, unless a sum is meant.",
        related=((view.place(waiting.test), "the step waits for this"),),
        severity=Severity.INFO,
    )


def _cleared(view: View, node: ast.AST, waiting: ast.If) -> Problem:
    return Problem(
        place=view.place(node),
        message="gradients are cleared in every micro-batch, though the step waits for several",
        why="Only the last micro-batch before each step counts.",
        remedy="Clear them right after the step, under the same condition.",
        related=((view.place(waiting.test), "the step waits for this"),),
    )


def _scaled_backward(node: ast.AST) -> ast.expr | None:
    """Return the loss of `scaler.scale(loss).backward()`."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="backward", value=ast.Call(func=ast.Attribute(attr="scale", value=owner)))
        ):
            scaled = node.func.value if isinstance(node.func, ast.Attribute) else None
            if isinstance(scaled, ast.Call) and scaled.args and vocabulary.called_like_scaler(last_name(owner)):
                return scaled.args[0]
    return None


def _loop(view: View, node: ast.AST) -> ast.For | ast.While | None:
    around = view.parent(node)
    while around is not None and not isinstance(around, Function):
        if isinstance(around, ast.For | ast.While):
            return around
        around = view.parent(around)
    return None


def _waiting_step(view: View, loop: ast.For | ast.While, backward: ast.AST) -> ast.If | None:
    """Return the `if` of every so many turns around the scaler's only step in the loop; the backward is not in it."""
    steps = [node for node in ast.walk(loop) if _is_call(node, "step") and _of_scaler(node)]
    if len(steps) != 1:
        return None
    inner: ast.AST = steps[0]
    around = view.parent(inner)
    while around is not None and around is not loop:
        if isinstance(around, ast.If) and inner in around.body and _every_so_many(around.test):
            return None if any(node is backward for node in ast.walk(around)) else around
        inner, around = around, view.parent(around)
    return None


def _every_so_many(test: ast.expr) -> bool:
    return any(isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) for node in ast.walk(test))


def _cleared_each_turn(view: View, loop: ast.For | ast.While, waiting: ast.If) -> ast.AST | None:
    """Return a zero_grad that runs in every turn, where none runs with the step."""
    inside = {id(node) for node in ast.walk(waiting)}
    calls = [node for node in ast.walk(loop) if _is_call(node, "zero_grad")]
    if any(id(node) in inside for node in calls):
        return None
    return next((node for node in calls if _loop(view, node) is loop and _unconditional(view, node, loop)), None)


def _unconditional(view: View, node: ast.AST, loop: ast.AST) -> bool:
    around = view.parent(node)
    while around is not None and around is not loop:
        if isinstance(around, ast.If | ast.Try | ast.IfExp | ast.Match):
            return False
        around = view.parent(around)
    return True


def _divided(view: View, loss: ast.expr, loop: ast.For | ast.While, waiting: ast.If) -> bool:
    """Say whether the loss, what it is made of, or the gradients before the step are made smaller by some number."""
    function: ast.AST = loop
    while (around := view.parent(function)) is not None and not isinstance(function, Function):
        function = around
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        for name, value in _assignments(node):
            assigned.setdefault(name, []).append(value)
    waiting_for, seen = [loss], set[str]()
    for _ in range(_DEEPEST):
        if any(map(_makes_smaller, waiting_for)):
            return True
        names = {node.id for value in waiting_for for node in ast.walk(value) if isinstance(node, ast.Name)} - seen
        seen |= names
        waiting_for = [value for name in names for value in assigned.get(name, [])]
    return any(_makes_smaller(node) and ".grad" in ast.unparse(node) for node in waiting.body)


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        yield name.id, value
        case ast.AugAssign(target=ast.Name(id=name), value=value, op=op):
            yield name, ast.BinOp(left=ast.Name(id=name), op=op, right=value)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value


def _makes_smaller(value: ast.AST) -> bool:
    """Say whether something is divided, or multiplied by what is no plain weight of a loss."""
    for node in ast.walk(value):
        match node:
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                return True
            case ast.Call(func=ast.Attribute(attr="div" | "div_" | "true_divide" | "mul_" | "mul")):
                return True
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)) if "accum" in name.lower():
                return True
    return False


def _is_call(node: ast.AST, method: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method


def _of_scaler(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=owner)):
            return vocabulary.called_like_scaler(last_name(owner))
    return False
