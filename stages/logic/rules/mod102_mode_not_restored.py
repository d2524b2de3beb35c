"""MOD102: a function switches a module to eval mode and does not switch it back on every way out."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function, own_nodes, parameters
from stages._source.wanted import Wanted
from stages.logic.blocks import always_after, around
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD102",
    name="mode-not-restored",
    severity=Severity.MEDIUM,
    summary="A function switches a module to eval mode and does not switch it back on every way out.",
    why=(
        "Whoever trains on with that module trains without dropout and with frozen statistics of its normalization"
        " layers, and nothing says so: the loss goes down as before. Where the function restores the mode on its"
        " usual way and not on an early return or in a handler, that is a MEDIUM finding. Where it never does, the"
        " caller may know it, and that is an INFO finding."
    ),
    examples=(
        Bad("""
            import torch

            def matches(model, other, x):
                was_training = model.training
                model.eval()
                with torch.no_grad():
                    expected = model(x)
                if expected.shape != other(x).shape:
                    return False  # expect: MOD102
                same = torch.allclose(expected, other(x))
                model.train(was_training)
                return same
        """),
        Bad("""
            import torch

            def matches(model, other, x):
                was_training = model.training
                try:
                    model.eval()
                    same = torch.allclose(model(x), other(x))
                    model.train(was_training)
                    return same
                except RuntimeError:  # expect: MOD102
                    return False
        """),
        Bad("""
            import torch

            def compare(model: torch.nn.Module, compiled: torch.nn.Module, x):
                model.eval()  # expect: MOD102
                compiled.eval()  # expect: MOD102
                return (model(x) - compiled(x)).abs().max()
        """),
        Good("""
            import torch

            def matches(model, other, x):
                was_training = model.training
                model.eval()
                try:
                    if not len(x):
                        return True
                    return torch.allclose(model(x), other(x))
                finally:
                    model.train(was_training)

            def evaluate(model, loader):
                model.eval()
                return sum(model(x).sum() for x in loader)

            def load(path):
                model = torch.load(path)
                model.eval()
                return model

            def step(model, x):
                if not len(x):
                    return None
                model.eval()
                out = model(x)
                model.train()
                return out
        """),
    ),
)
_SWITCHED = late(rb"(\w+)\.eval\(\)")


def _may_leave(data: bytes) -> bool:
    """Say whether the text switches back somewhere, or switches what a function is given."""
    if b".train(" in data:
        return True
    return (b"compile" in data or b"backward(" in data) and any(
        re.search(rb"def \w+\([^)]*\b" + name + rb"\b", data) for name in {item[1] for item in _SWITCHED.finditer(data)}
    )


WANTED = Wanted(every=(b".eval()",), test=_may_leave)
# the caller expects it of these
_EXPECTED = late(
    r"main|infer|predict|sampl|generat|load|export|demo|test|^eval|evaluate|freeze|prepare|set_?up|init|build|create|"
    r"make|convert|onnx|quant|visuali|extract|embed|encode|decode|forward|step|run|render|process|get_|eval_mode|"
    r"validation|eval"
)
_REMEDY = "Remember `training` of the module, and set it back in a `finally`: `{name}.train(was_training)`."


def look(view: View) -> Iterator[Problem]:
    """Report ways out of a function between `eval()` and `train()`, and functions that have no `train()` at all."""
    for node in view.module.scopes.scopes:
        if isinstance(node, Function):
            yield from _of_function(view, node)


def _of_function(view: View, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Problem]:
    own = sorted(
        (item for item in own_nodes(function.body) if isinstance(item, ast.Call | ast.Return | ast.Assign)),
        key=lambda item: (item.lineno, item.col_offset),
    )
    switched = [item for item in own if isinstance(item, ast.Call) and _is_mode(item, "eval")]
    for switch in switched:
        assert isinstance(switch.func, ast.Attribute)
        name = ast.unparse(switch.func.value)
        backs = [item for item in own if _restores(item, name) and item.lineno > switch.lineno]
        if not backs:
            if _is_given(function, name) and not _is_expected(function):
                yield _problem(view, switch, name, f"`{name}` is left in eval mode", Severity.INFO)
            continue
        if any(_in_final(view, back) for back in backs):
            continue
        first = next((back for back in backs if always_after(view, switch, back)), None)
        if first is None:
            continue
        for item in own:
            if isinstance(item, ast.Return) and switch.lineno < item.lineno < first.lineno:
                cleaned = any(always_after(view, back, item) for back in backs)
                if always_after(view, switch, item) and not cleaned:
                    yield _problem(view, item, name, f"`{name}` is left in eval mode by this return", None, switch)
        if _is_given(function, name) and not any(_is_backward(item) for item in own):
            yield from _handlers(view, switch, first, name)


def _handlers(view: View, switch: ast.Call, back: ast.AST, name: str) -> Iterator[Problem]:
    """Report handlers that go on, around both the switch and the way back."""
    inner: ast.AST = switch
    for outer in around(view, switch):
        if isinstance(outer, Function | ast.Lambda):
            return
        if isinstance(outer, ast.Try) and inner in outer.body and _holds(outer.body, back):
            for handler in outer.handlers:
                goes_on = not any(isinstance(item, ast.Raise) for item in own_nodes(handler.body))
                if goes_on and not any(_restores(item, name) for item in own_nodes(handler.body)):
                    message = f"`{name}` is left in eval mode where this handler is reached"
                    yield _problem(view, handler, name, message, None, switch)
        inner = outer


def _is_backward(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward"


def _holds(body: list[ast.stmt], node: ast.AST) -> bool:
    return any(item is node for item in own_nodes(body))


def _is_mode(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == name and not call.args


def _restores(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="train"), args=args):
            off = bool(args) and isinstance(args[0], ast.Constant) and args[0].value is False
            return not off and ast.unparse(value) == name
        case ast.Assign(targets=[ast.Attribute(value=value, attr="training")]):
            return ast.unparse(value) == name
    return False


def _in_final(view: View, node: ast.AST) -> bool:
    inner = node
    for outer in around(view, node):
        if isinstance(outer, ast.Try) and inner in outer.finalbody:
            return True
        inner = outer
    return False


def _is_given(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    bound = any(
        isinstance(item, ast.Name) and item.id == name and isinstance(item.ctx, ast.Store)
        for item in own_nodes(function.body)
    )
    return not bound and any(argument.arg == name for argument, _ in parameters(function) if argument.arg != "self")


def _is_expected(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a function is one after which callers switch the mode themselves: an evaluation over data, say."""
    loops = (item for item in own_nodes(function.body) if isinstance(item, ast.For | ast.AsyncFor | ast.comprehension))
    over_data = any(not _counts(item.iter) for item in loops)
    takes_data = any(re.search(r"loader|data", argument.arg) for argument, _ in parameters(function))
    return over_data or takes_data or _EXPECTED.search(function.name.lower()) is not None


def _counts(over: ast.expr) -> bool:
    """Tell a loop that repeats something from one over data: `range(5)`, not `range(len(dataset))`."""
    match over:
        case ast.Call(func=ast.Name(id="range"), args=args):
            return not any("len(" in ast.unparse(argument) for argument in args)
    return False


def _problem(
    view: View, node: ast.AST, name: str, message: str, severity: Severity | None, switch: ast.AST | None = None
) -> Problem:
    return Problem(
        place=view.place(node),
        message=message,
        why="The caller's module trains on without dropout and without updating running statistics.",
        remedy=_REMEDY.format(name=name),
        related=((view.place(switch), "switched to eval mode here"),) if switch is not None else (),
        severity=severity,
    )
