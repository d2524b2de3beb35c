"""MOD105: a module keeps layers in a plain list or dict, where nobody finds their parameters."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.training_code import LAYERS, is_module_class, method_of
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD105",
    name="unregistered-layers",
    severity=Severity.HIGH,
    summary="A module keeps layers in a plain list or dict, where nobody finds their parameters.",
    why=(
        "`parameters()` does not give them, so the optimizer never trains them; `to(device)`, `half()`, `train()` and"
        " `state_dict()` pass them by. The model runs on the CPU and learns with the layers that are left."
    ),
    examples=(
        Bad("""
            from torch import nn

            class Net(nn.Module):
                def __init__(self, depth):
                    super().__init__()
                    self.layers = [nn.Linear(8, 8) for _ in range(depth)]  # expect: MOD105
                    self.heads = {"a": nn.Linear(8, 1)}  # expect: MOD105
                    self.norms = []
                    for _ in range(depth):
                        self.norms.append(nn.LayerNorm(8))  # expect: MOD105
        """),
        Good("""
            from torch import nn

            class Net(nn.Module):
                def __init__(self, depth):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(depth)])
                    self.blocks = [nn.Linear(8, 8) for _ in range(depth)]
                    self.body = nn.Sequential(*self.blocks)
                    self.acts = [nn.ReLU(), nn.GELU()]
                    self.frozen = [nn.Linear(8, 8)]
                    self.frozen[0].requires_grad_(False)
                    norms = [nn.LayerNorm(8)]
                    self.norms = nn.ModuleList(norms)

            class Plan:
                def __init__(self):
                    self.layers = [nn.Linear(8, 8)]
        """),
    ),
)
_DISPLAY = late(rb"self\.\w+ = [\[{]\s*[^\n]{0,40}?nn\.[A-Z]")
_APPENDED = late(rb"self\.(\w+)\.append\(\s*(?:torch\.)?nn\.[A-Z]")


def _may_hide(data: bytes) -> bool:
    """Say whether the text puts something of torch.nn into a display, or appends it to a list of its own."""
    if _DISPLAY.search(data):
        return True
    return any(re.search(rb"self\." + found[1] + rb"\b[^=\n]*= \[\]", data) for found in _APPENDED.finditer(data))


WANTED = Wanted(every=(b"Module)", b"self."), test=_may_hide)
_REGISTERING = frozenset(
    ["ModuleList", "ModuleDict", "Sequential", "add_module", "register_module", "setattr", "extend"]
)


def look(view: View) -> Iterator[Problem]:
    """Report such containers in `__init__`, unless the class passes them to something that may register them."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, Function) and node.name == "__init__" and scope.parent is not None:
            cls = scope.parent.node
            if isinstance(cls, ast.ClassDef):
                found = list(_containers(view, node, scope))
                if found and is_module_class(view, scope.parent):
                    registered = set(_registered(cls))
                    yield from (problem for name, problem in found if name not in registered)


def _containers(
    view: View, init: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope
) -> Iterator[tuple[str, Problem]]:
    empty: set[str] = set()
    for node in sorted(own_nodes(init.body), key=lambda node: getattr(node, "lineno", 0)):
        match node:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                if isinstance(value, ast.List) and not value.elts:
                    empty.add(name)
                layer = next((item for item in _elements(value) if _is_layer(view, item, scope)), None)
                if layer is not None:
                    yield name, _problem(view, node, name, layer)
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=name), attr="append"),
                args=[value],
            ):
                if name in empty and _is_layer(view, value, scope):
                    yield name, _problem(view, node, name, value)


def _elements(value: ast.expr) -> list[ast.expr]:
    match value:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return elements
        case ast.Dict(values=elements):
            return elements
        case ast.ListComp(elt=element):
            return [element]
        case ast.DictComp(value=element):
            return [element]
    return []


def _is_layer(view: View, node: ast.expr, scope: Scope) -> bool:
    if not isinstance(node, ast.Call):
        return False
    inner = next((item for item in view.module.scopes.calls if item.node is node), None)
    return bool(view.origins(node.func, inner.scope if inner is not None else scope) & LAYERS)


def _registered(cls: ast.ClassDef) -> Iterator[str]:
    """Yield the attributes that are handed to something that may register what is in them."""
    handles_all = any(method_of(node) in ("add_module", "register_module") for node in ast.walk(cls))
    for node in ast.walk(cls):
        if isinstance(node, ast.Call) and last_name(node.func) in _REGISTERING:
            yield from _attributes(node)
        elif isinstance(node, ast.For) and handles_all:
            yield from _attributes(node.iter)
        if isinstance(node, ast.Call) and method_of(node) in ("requires_grad_", "to"):  # kept out on purpose
            yield from _attributes(node.func)


def _attributes(node: ast.AST) -> Iterator[str]:
    for item in ast.walk(node):
        if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id == "self":
            yield item.attr


def _problem(view: View, node: ast.AST, name: str, layer: ast.expr) -> Problem:
    return Problem(
        place=view.place(node),
        symbol=f"self.{name}",
        message=f"`self.{name}` holds `{ast.unparse(layer)}` in a plain container: its parameters are not the module's",
        remedy="Keep layers in `torch.nn.ModuleList` or `torch.nn.ModuleDict`.",
    )
