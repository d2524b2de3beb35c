"""Finds callbacks that clip the gradients of a trainer elsewhere, which scales its loss and which nobody unscales."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.testfiles import is_test_file
from stages.logic.engine.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module
    from stages._source.program.scopes import Scope
    from stages.logic.view import View

_MOMENT = late(r"(?:on|after|before)_\w*(?:backward|batch|step|iter|gradient|optimizer)\w*")
_CLASS = late(r"\w*(?:Callback|Hook|Clip\w*)")
_CLIP = late(r"_?clip_grad\w*")


@dataclass(frozen=True, slots=True)
class CallbackClip:
    """A clip of another object's gradients, and where that object scales their loss."""

    place: Place
    scaled: Place


def callback_clips(view: View) -> Iterator[CallbackClip]:
    """Yield clips in callbacks that a file knows which scales with an object's own scaler, where nothing unscales."""
    scaled = None if is_test_file(view.module.path) else _scales(view)
    if scaled is None:
        return
    around = [view.module, *_imported(view)]
    if any("unscale" in line for module in around for line in module.lines):
        return
    for module in around:
        for node, scope in module.scopes.scopes.items():
            if isinstance(node, Function) and _is_callback(scope):
                given = {argument.arg for argument in node.args.args[1:]}
                for call in own_nodes(node.body):
                    if isinstance(call, ast.Call) and _clips(call, given):
                        yield CallbackClip(Place(module, call), scaled)


def _imported(view: View) -> list[Module]:
    """Return the files of the project that a file imports from."""
    found: dict[Module, None] = {}
    for scope in view.module.scopes.scopes.values():
        for bindings in scope.bindings.values():
            for binding in bindings:
                split = view.project.split(binding.origin) if binding.how == "import" else None
                if split is not None and split[0] is not view.module:
                    found[split[0]] = None
    return list(found)


def _is_callback(scope: Scope) -> bool:
    cls = scope.parent
    if cls is None or not isinstance(cls.node, ast.ClassDef) or not isinstance(scope.node, Function):
        return False
    names = (cls.node.name, *map(last_name, cls.node.bases))
    return _MOMENT.fullmatch(scope.node.name) is not None and any(_CLASS.fullmatch(name) for name in names)


def _clips(call: ast.Call, given: set[str]) -> bool:
    """Say whether a function clips what belongs to an object that the callback was given."""
    if _CLIP.fullmatch(last_name(call.func)) is None or not isinstance(call.func, ast.Name | ast.Attribute):
        return False
    values = (*call.args, *(keyword.value for keyword in call.keywords))
    owners = {_root(value) for value in values if "param" in ast.unparse(value)}
    return bool(owners & given) and _root(call.func) not in given


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _scales(view: View) -> Place | None:
    for seen in view.calls():
        match seen.node:
            case ast.Call(func=ast.Attribute(attr="scale", value=ast.Attribute() as owner)):
                if vocabulary.called_like_scaler(last_name(owner)):
                    return view.place(seen.node)
    return None
