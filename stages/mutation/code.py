"""One file to be mutated: its text and tree, and what of them operators ask for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verifier.api import SourceText

Loop = ast.For | ast.AsyncFor | ast.While
With = ast.With | ast.AsyncWith


@dataclass(eq=False)
class Code:
    """A file that parses."""

    source: SourceText
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    nodes: list[ast.AST] = field(default_factory=list)  # in source order, as far as the tree's order is that

    def __post_init__(self) -> None:
        stack: list[ast.AST] = [self.tree]
        while stack:
            node = stack.pop()
            self.nodes.append(node)
            below = list(ast.iter_child_nodes(node))
            self.parents.update(dict.fromkeys(below, node))
            stack += reversed(below)

    def text(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        return self.source.code(node)

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Yield the calls of functions or methods of one of these names, whatever stands before the dot."""
        for node in self.every_call:
            if last_name(node.func) in names:
                yield node

    @cached_property
    def every_call(self) -> list[ast.Call]:
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the statement that a node is part of."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def block(self, statement: ast.stmt) -> tuple[list[ast.stmt], int]:
        """Return the statements among which one stands, and its place."""
        for _, value in ast.iter_fields(self.parents[statement]):
            if isinstance(value, list) and any(item is statement for item in value):
                return value, next(place for place, item in enumerate(value) if item is statement)
        raise AssertionError("a statement stands in a block")

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what is around a node, innermost first, up to the function or the module that it belongs to."""
        while node in self.parents:
            node = self.parents[node]
            yield node
            if isinstance(node, Function | ast.Lambda):
                return

    def function(self, node: ast.AST) -> ast.AST:
        """Return the function that a node belongs to, or the module."""
        for outer in self.around(node):
            if isinstance(outer, Function | ast.Lambda):
                return outer
        return self.tree

    def loop(self, node: ast.AST) -> Loop | None:
        """Return the innermost loop around a node within its function."""
        return next((outer for outer in self.around(node) if isinstance(outer, Loop)), None)

    def within(self, owner: ast.AST, *names: str) -> list[ast.Call]:
        """Return the calls of these names that belong to a function or the module itself, in source order."""
        return [call for call in self.calls(*names) if self.function(call) is owner]

    def is_before(self, node: ast.AST, other: ast.AST) -> bool:
        return self._order[node] < self._order[other]

    @cached_property
    def _order(self) -> dict[ast.AST, int]:
        return {node: place for place, node in enumerate(self.nodes)}

    @cached_property
    def imports_torch(self) -> bool:
        """Say whether the name `torch` is torch everywhere in the file."""
        return any(
            isinstance(node, ast.Import)
            and any(item.name.partition(".")[0] == "torch" and not item.asname for item in node.names)
            for node in self.tree.body
        )

    @cached_property
    def dump(self) -> str:
        return ast.dump(self.tree)

    def assignments(self, name: str) -> list[ast.Assign]:
        """Return the plain assignments to a name or dotted name, such as `scaler` or `self.scaler`."""
        return [
            node
            for node in self.nodes
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted(node.targets[0]) == name
        ]

    def mentions(self, *words: str) -> bool:
        return any(word in self.source.text for word in words)


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name, "" for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """Return a dotted name as text, "" for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            before = dotted(value)
            return f"{before}.{attr}" if before else ""
    return ""


def receiver(call: ast.Call) -> ast.expr | None:
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def keyword(call: ast.Call, name: str) -> ast.keyword | None:
    return next((item for item in call.keywords if item.arg == name), None)


def names_in(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
