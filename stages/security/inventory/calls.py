"""Decides which calls of a file send something to a tracker, and what."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.origins import lineage
from stages._source.program.scopes import own_nodes, self_class
from stages._source.wanted import Wanted
from stages.security.inventory.trackers import FUNCTIONS, LIGHTNING, METHODS, OBJECTS, Sending
from stages.security.view import argument, shown, text_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.inventory.trackers import Part
    from stages.security.view import View

WANTED = Wanted(
    torch=False,
    some=(
        *(b"wandb", b"SummaryWriter", b"mlflow", b"add_scalar", b"add_histogram", b"add_hparams", b"init_trackers"),
        *(b"comet_ml", b"swanlab", b"trackio", b"dvclive", b"clearml", b"import aim", b"from aim", b"log_hyperparams"),
        *(b"log_metrics", b"LightningModule", b"import Accelerator", b"accelerator.log(", b"report_to"),
    ),
)
_METHODS = frozenset(
    name.rpartition(".")[2]
    for names in (FUNCTIONS, METHODS, LIGHTNING, *(methods for _, methods in OBJECTS.values()))
    for name in names
)
_BY_NAME = ("accelerator",)  # objects that training code calls by no other name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One value that leaves.

    Args:
        key: under which name; "" where it has none, "*" for all keys of a mapping that is made elsewhere.
        value: the expression, read in `scope`; None where the tracker chooses by itself.
    """

    tracker: str
    kind: str
    key: str
    value: ast.expr | None
    node: ast.AST
    call: ast.Call
    scope: Scope


def sent(view: View) -> Iterator[Sent]:
    """Yield every value that a call of the file sends to a tracker, in source order."""
    for call, scope in view.calls():
        sending = _sending(view, call, scope)
        if sending is None:
            continue
        if not sending.parts:
            yield Sent(
                tracker=sending.tracker, kind=sending.kind, key="", value=None, node=call, call=call, scope=scope
            )
        for part in sending.parts:
            yield from _of_part(view, call, scope, sending.tracker, part)


def _sending(view: View, call: ast.Call, scope: Scope) -> Sending | None:
    """Return what a call sends, by the function it calls, the object it is called on, or its own name."""
    func = call.func
    if not isinstance(func, ast.Name) and (not isinstance(func, ast.Attribute) or func.attr not in _METHODS):
        return None
    for name in sorted(view.names(func, scope)):
        if name in FUNCTIONS:
            return FUNCTIONS[name]
    if not isinstance(func, ast.Attribute):
        return None
    return _on_object(view, func, scope) or _in_lightning(view, func, scope) or _by_method(view, call, func, scope)


def _on_object(view: View, func: ast.Attribute, scope: Scope) -> Sending | None:
    method, on = func.attr, func.value
    for maker in sorted(view.made_by(on, scope) & OBJECTS.keys()):
        tracker, methods = OBJECTS[maker]
        if method in methods:
            return Sending(tracker, methods[method])
    if isinstance(on, ast.Attribute):  # run.config.update(…)
        inner = f"{on.attr}.{method}"
        for maker in sorted(view.made_by(on.value, scope) & OBJECTS.keys()):
            tracker, methods = OBJECTS[maker]
            if inner in methods:
                return Sending(tracker, methods[inner])
    return None


def _in_lightning(view: View, func: ast.Attribute, scope: Scope) -> Sending | None:
    if func.attr not in LIGHTNING or not isinstance(func.value, ast.Name):
        return None
    cls = self_class(scope, func.value.id)
    if cls is None:
        return None
    bases = [
        name
        for one in lineage(view.project, cls)
        if isinstance(one.node, ast.ClassDef) and one.parent is not None
        for base in one.node.bases
        for name in view.names(base, one.parent)
    ]
    return LIGHTNING[func.attr] if any(name.endswith("LightningModule") for name in bases) else None


def _by_method(view: View, call: ast.Call, func: ast.Attribute, scope: Scope) -> Sending | None:
    if func.attr == "log" and isinstance(func.value, ast.Name | ast.Attribute):
        named = func.value.id if isinstance(func.value, ast.Name) else func.value.attr
        return Sending("accelerate", OBJECTS["accelerate.Accelerator"][1]["log"]) if named in _BY_NAME else None
    names = view.names(func.value, scope)
    if any(view.project.split(name) is not None for name in names):  # a function or module of the project itself
        return None
    return METHODS.get(func.attr) if call.args or call.keywords else None


def _of_part(view: View, call: ast.Call, scope: Scope, tracker: str, part: Part) -> Iterator[Sent]:
    def one(key: str, value: ast.expr, where: Scope = scope) -> Sent:
        return Sent(tracker=tracker, kind=part.kind, key=key, value=value, node=value, call=call, scope=where)

    value = argument(call, part.keyword, part.position)
    if part.how == "keyed":
        key = (
            call.args[0]
            if call.args
            else next((item.value for item in call.keywords if item.arg != part.keyword), None)
        )
        if value is not None and key is not None:
            yield one(key_text(key), value)
        return
    if value is None:
        return
    if part.how == "whole":
        yield one(part.keyword if part.position is None else "", value)
        return
    for named, item, where in _items(view, value, scope):
        yield one(named, item, where)


def key_text(key: ast.expr) -> str:
    """Return the key as text; one that is computed, as its expression."""
    text = text_value(key)
    return text if text is not None else shown(key)


def _items(view: View, value: ast.expr, scope: Scope) -> list[tuple[str, ast.expr, Scope]]:
    """Return what a mapping holds: (key, value, scope); "*" where it is made elsewhere."""
    match value:
        case ast.Dict(keys=keys, values=values):
            return [
                ("*" if key is None else key_text(key), item, scope) for key, item in zip(keys, values, strict=True)
            ]
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if keywords:
            return [(keyword.arg or "*", keyword.value, scope) for keyword in keywords]
        case ast.Name(id=name):
            bound = [item for item in view.bindings(value, scope) if item.how == "value" and item.value is not None]
            made = [item for item in bound if isinstance(item.value, ast.Dict)]
            if made and len(made) == len(bound):
                found = [row for item in made if item.value is not None for row in _items(view, item.value, item.scope)]
                return [*found, *_added(name, scope)] or [("*", value, scope)]
    return [("*", value, scope)]


def _added(name: str, scope: Scope) -> list[tuple[str, ast.expr, Scope]]:
    """Return what the same scope puts into a dict after it was made."""
    body = getattr(scope.node, "body", None)
    return [
        (key_text(node.targets[0].slice), node.value, scope)
        for node in (own_nodes(body) if isinstance(body, list) else ())
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Subscript)
        and isinstance(node.targets[0].value, ast.Name)
        and node.targets[0].value.id == name
    ]
