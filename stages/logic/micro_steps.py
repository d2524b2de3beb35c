"""Finds where accelerate unscales in every micro-batch of an accumulation, not in the last one only."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stages._source.program import vocabulary
from stages._source.program.origins import origins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module
    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

_UNSCALES = frozenset(["clip_grad_norm_", "clip_grad_value_", "unscale_gradients"])
_LEAVES = (ast.Continue, ast.Return, ast.Break)
_SYNC = "sync_gradients"


@dataclass(frozen=True, slots=True)
class MicroStep:
    """A call that unscales inside of `with accelerator.accumulate(...)`, whether gradients are complete or not.

    Args:
        opened: the `accumulate` call.
        established: the configuration in sight accumulates and uses float16.
    """

    call: ast.Call
    opened: ast.Call
    established: bool


def micro_steps(view: View) -> Iterator[MicroStep]:
    """Yield the calls of a framework that unscale in every micro-batch, unless its configuration rules it out."""
    if not view.mentions("accumulate("):
        return
    for seen in view.calls():
        opened = seen.node
        if not isinstance(opened, ast.Call) or not _opens(view, seen):
            continue
        around = view.parent(opened)
        around = view.parent(around) if isinstance(around, ast.withitem) else None
        setting = _configured(view)
        if not isinstance(around, ast.With) or setting == "harmless":
            continue
        owner = ast.unparse(opened.func.value) if isinstance(opened.func, ast.Attribute) else ""
        for call in _unscaling(around, owner):
            if not _waits_for_the_last(view, call, around):
                yield MicroStep(call, opened, setting == "established")


def _opens(view: View, seen: Seen) -> bool:
    match seen.node:
        case ast.Call(func=ast.Attribute(attr="accumulate", value=owner)):
            return view.kinds.is_framework(owner, seen.scope, view.module)
    return False


def _unscaling(block: ast.With, owner: str) -> Iterator[ast.Call]:
    for node in ast.walk(block):
        match node:
            case ast.Call(func=ast.Attribute(attr=name, value=receiver)) if name in _UNSCALES:
                if ast.unparse(receiver) == owner:
                    yield node


def _waits_for_the_last(view: View, call: ast.Call, block: ast.With) -> bool:
    """Say whether a test of `sync_gradients` stands around the call, or before it and leaves."""
    inner: ast.AST = call
    around = view.parent(call)
    while around is not None and inner is not block:
        if isinstance(around, ast.If) and inner is not around.test and _asks(view, around.test):
            return True
        for body in (getattr(around, "body", None), getattr(around, "orelse", None)):
            if isinstance(body, list) and inner in body and any(map(_leaves_early, body[: body.index(inner)])):
                return True
        inner, around = around, view.parent(around)
    return False


def _asks(view: View, test: ast.expr) -> bool:
    """Say whether a test is about the end of an accumulation, in its own words or by a name that is set to it."""
    if _SYNC in ast.unparse(test):
        return True
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    return any(
        isinstance(node, ast.Assign)
        and _SYNC in ast.unparse(node.value)
        and any(isinstance(target, ast.Name) and target.id in names for target in node.targets)
        for node in ast.walk(view.module.tree)
    )


def _leaves_early(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and _SYNC in ast.unparse(node.test)
        and any(isinstance(end, _LEAVES) for end in node.body)
    )


def _configured(view: View) -> Literal["harmless", "open", "established"]:
    """Say what the constructors in sight make of it: those of the file, or else of the project."""
    made = list(_constructors(view, view.module)) or [
        call for module in view.project.modules for call in _constructors(view, module)
    ]
    if made and all(not _scales(call) or not _accumulates(call) for call in made):
        return "harmless"
    if made and all(_value(call, "mixed_precision") == "fp16" and _steps(call) for call in made):
        return "established"
    return "open"


def _constructors(view: View, module: Module) -> Iterator[ast.Call]:
    for seen in module.scopes.calls:
        node, scope = seen.node, seen.scope
        if isinstance(node, ast.Call) and _makes_accelerator(view, node, scope):
            yield node


def _makes_accelerator(view: View, node: ast.Call, scope: Scope) -> bool:
    called = origins(view.project, node.func, scope)
    return vocabulary.names_framework(called) and any("ccelerator" in name for name in called)


def _scales(call: ast.Call) -> bool:
    return _open(call) or _value(call, "mixed_precision") in (None, "fp16")


def _accumulates(call: ast.Call) -> bool:
    named = {keyword.arg for keyword in call.keywords}
    given = named & {"gradient_accumulation_steps", "gradient_accumulation_plugin"}
    return _open(call) or (bool(given) and _value(call, "gradient_accumulation_steps") != 1)


def _steps(call: ast.Call) -> bool:
    number = _value(call, "gradient_accumulation_steps")
    return isinstance(number, int) and number > 1


def _open(call: ast.Call) -> bool:
    return any(keyword.arg is None for keyword in call.keywords) or bool(call.args)


def _value(call: ast.Call, name: str) -> object:
    """Return a literal argument; None where it is absent or no literal."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    return None
