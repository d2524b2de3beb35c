"""MOD101: a training loop evaluates its model and trains on in eval mode."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.origins import functions
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.blocks import Loop, always_after, loops_around, statement
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls, method_of, own_calls, receiver_of
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD101",
    name="training-goes-on-in-eval-mode",
    severity=Severity.HIGH,
    summary="A training loop evaluates its model, which switches it to eval mode, and trains on so.",
    why=(
        "`model.train()` stands before the loop, so only the time until the first evaluation is trained with dropout"
        " and with statistics of batches. From then on normalization layers use frozen running statistics, dropout is"
        " off, and the loss goes down all the same: nothing tells but the result."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader, held_out, optimizer, epochs):
                model.train()
                for epoch in range(epochs):
                    for x, y in loader:
                        optimizer.zero_grad()
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
                    model.eval()  # expect: MOD101
                    with torch.no_grad():
                        print(sum(model(x).sum() for x, _ in held_out))
        """),
        Bad("""
            import torch

            def evaluate(net, loader):
                net.eval()
                with torch.no_grad():
                    return sum(net(x).sum() for x, _ in loader)

            def train(model, loader, held_out, optimizer, epochs):
                model.train()
                for epoch in range(epochs):
                    for x, y in loader:
                        optimizer.zero_grad()
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
                    print(evaluate(model, held_out))  # expect: MOD101
        """),
        Good("""
            import torch

            def evaluate(net, loader):
                net.eval()
                with torch.no_grad():
                    total = sum(net(x).sum() for x, _ in loader)
                net.train()
                return total

            def train(model, loader, held_out, optimizer, epochs):
                model.train()
                for epoch in range(epochs):
                    for x, y in loader:
                        optimizer.zero_grad()
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
                    print(evaluate(model, held_out))

            def other(model, loader, optimizer, epochs):
                for epoch in range(epochs):
                    model.train()
                    for x, y in loader:
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
                    model.eval()
                    print(model(x))

            def frozen(model, loader, optimizer):
                model.train()
                for x, y in loader:
                    model.eval()
                    torch.nn.functional.mse_loss(model(x), y).backward()
                    optimizer.step()
        """),
    ),
)
WANTED = Wanted(every=(b".train(", b"backward("))


def look(view: View) -> Iterator[Problem]:
    """Report what switches a model to eval mode inside a loop, after the backward pass of its turn."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, Function):
            yield from _of_function(view, node, scope)


def _of_function(view: View, function: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Problem]:
    backwards = backward_calls(function.body)
    if not backwards:
        return
    calls = own_calls(function.body)
    trained = {receiver_of(call): call for call in calls if method_of(call) == "train" and not call.args}
    told: set[str] = set()
    for call in calls:
        name = _switched(view, call, scope, trained)
        loop = _loop_of_both(view, call, backwards) if name is not None and name not in told else None
        if name is None or loop is None or not always_after(view, trained[name], loop) or _leaves(view, call):
            continue
        if not _may_switch_back(view, loop, name, scope):
            told.add(name)
            yield Problem(
                place=view.place(call),
                message=f"`{name}` is in eval mode from here on, and the loop trains on without `{name}.train()`",
                remedy=f"Call `{name}.train()` at the beginning of each turn of the loop, or after the evaluation.",
                related=(
                    (view.place(trained[name]), "switched to training mode once, before the loop"),
                    (view.place(backwards[0]), "trained here in the next turn"),
                ),
            )


def _switched(view: View, call: ast.Call, scope: Scope, trained: dict[str, ast.Call]) -> str | None:
    """Return the model that a call leaves in eval mode, as it is called here."""
    if method_of(call) == "eval" and not call.args:
        return name if (name := receiver_of(call)) in trained else None
    called = functions(view.project, call.func, scope)
    if len(called) != 1 or not isinstance(called[0].node, Function):
        return None
    function = called[0].node
    for given, here in _passed(call, function):
        if here in trained and _leaves_in_eval(function, given):
            return here
    return None


def _passed(call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    """Yield what the called function calls its arguments, and what they are called here."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    if isinstance(call.func, ast.Attribute) and names[:1] == ["self"]:
        names = names[1:]
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "self":
            for node in own_nodes(function.body):
                if isinstance(node, ast.Call) and method_of(node) == "eval" and receiver_of(node).startswith("self."):
                    yield receiver_of(node), receiver_of(node)
    yield from ((name, ast.unparse(argument)) for name, argument in zip(names, call.args, strict=False))
    yield from ((keyword.arg, ast.unparse(keyword.value)) for keyword in call.keywords if keyword.arg)


def _leaves_in_eval(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    calls = own_calls(function.body)
    switched = any(method_of(call) == "eval" and receiver_of(call) == name and not call.args for call in calls)
    return (
        switched
        and "train" not in " ".join(ast.unparse(call.func) for call in calls)
        and not any(isinstance(node, ast.Attribute) and node.attr == "training" for node in own_nodes(function.body))
    )


def _loop_of_both(view: View, call: ast.Call, backwards: list[ast.Call]) -> Loop | None:
    """Return the outermost loop in which a backward pass comes first, and then the call."""
    for loop in reversed(loops_around(view, call)):
        inside = [item for item in backwards if loop in loops_around(view, item)]
        if inside and inside[0].lineno < call.lineno:
            return loop
    return None


def _leaves(view: View, call: ast.Call) -> bool:
    """Say whether the loop, or the function, is left right after the call."""
    here = statement(view, call)
    return (
        here is None
        or any(
            isinstance(item, ast.Break | ast.Return | ast.Raise) and always_after(view, here, item)
            for loop in loops_around(view, call)
            for item in own_nodes(loop.body)
        )
        or isinstance(here, ast.Return)
    )


def _may_switch_back(view: View, loop: Loop, name: str, scope: Scope) -> bool:
    """Say whether anything in the loop may switch the model back: a call that names training, or knows the model."""
    for call in own_calls([loop]):
        if "train" in last_name(call.func).lower():
            return True
        for function in functions(view.project, call.func, scope):
            if isinstance(function.node, Function) and any(
                method_of(item) == "train" for item in own_calls(function.node.body)
            ):
                return True
    return False
