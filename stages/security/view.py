"""What a rule may ask about one file."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.origins import attribute_bindings, origins, resolve_bindings
from stages._source.program.scopes import Function, self_class
from stages.security.reaching import reaching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Binding, Scope, Seen
    from stages._source.versions import Version, Versions

_SHOWN = 70


@dataclass(frozen=True, slots=True)
class View:
    """One file of the project.

    Args:
        torch: the versions that the project says this file runs with.
        installed: the torch of the verified project's environment; None where there is none.
    """

    project: Project
    module: Module
    torch: Versions
    installed: Version | None = None

    def calls(self) -> Iterator[tuple[ast.Call, Scope]]:
        """Yield every call of the file in source order, with the scope it is read in."""
        for seen in self.module.scopes.calls:
            if isinstance(seen.node, ast.Call):
                yield seen.node, seen.scope

    def loads(self) -> Iterator[Seen]:
        """Yield every name and attribute that is read."""
        yield from self.module.scopes.loads

    def names(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        """Return the dotted names an expression may stand for."""
        return origins(self.project, node, scope)

    def calls_of(self, wanted: frozenset[str]) -> Iterator[tuple[ast.Call, Scope, str]]:
        """Yield every call of one of the dotted names, with the name; an attribute must be called so itself."""
        tails = {name.rpartition(".")[2] for name in wanted}
        for call, scope in self.calls():
            if isinstance(call.func, ast.Attribute) and call.func.attr not in tails:
                continue
            found = self.names(call.func, scope) & wanted
            if found:
                yield call, scope, min(found)

    def bindings(self, node: ast.expr, scope: Scope) -> list[Binding]:
        """Return what a name, or an attribute of `self`, may be bound to where it stands."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            cls = self_class(scope, node.value.id)
            if cls is not None:
                return attribute_bindings(self.project, cls, node.attr)
        found = resolve_bindings(self.project, node, scope)
        if isinstance(node, ast.Name):
            return reaching(node, found, self.module.tree, self.module.scopes.parents)
        return found

    def made_by(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        """Return the dotted names of the calls whose result an expression may be."""
        if isinstance(node, ast.Call):
            return self.names(node.func, scope)
        found = frozenset[str]()
        for binding in self.bindings(node, scope):
            if binding.how in ("value", "context") and isinstance(binding.value, ast.Call):
                found |= self.names(binding.value.func, binding.scope)
            elif isinstance(binding.node, Function) and binding.node.decorator_list:  # a property
                inner = binding.scope.inner[binding.node]
                made = [value for value in inner.returns if isinstance(value, ast.Call)]
                found |= frozenset[str]().union(*(self.names(value.func, inner) for value in made))
        return found

    def parent(self, node: ast.AST) -> ast.AST | None:
        return self.module.scopes.parents.get(node)

    def function_around(self, node: ast.AST) -> ast.AST:
        """Return the innermost function that holds a node, or the module."""
        around = self.parent(node)
        while around is not None and not isinstance(around, Function):
            around = self.parent(around)
        return around if around is not None else self.module.tree

    def label(self, node: ast.AST) -> str | None:
        """Return the qualified name of the function that holds a node; None at module level."""
        around = self.function_around(node)
        return self.module.scopes.scopes[around].qualname if isinstance(around, Function) else None


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """Return what a call passes for a parameter; None where it passes nothing that can be seen."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is None or any(isinstance(item, ast.Starred) for item in call.args[: position + 1]):
        return None
    return call.args[position] if position < len(call.args) else None


def passes_more(call: ast.Call) -> bool:
    """Say whether a call unpacks arguments that cannot be seen."""
    return any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords)


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def text_value(node: ast.expr | None) -> str | None:
    """Return the text of a literal."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def shown(node: ast.AST) -> str:
    """Return an expression as code, cut to what fits into a sentence."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
