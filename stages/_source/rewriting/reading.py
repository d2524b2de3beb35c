"""A file that is to be edited: its text, its tree, and the way from a finding to the nodes it is about."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeVar

from stages._source.parsing import parse
from verifier.api import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifier.api import FixContext, Location, SourceText

N = TypeVar("N", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Scoped = Function | ast.ClassDef | ast.Lambda
_BLOCKS = ("body", "orelse", "finalbody")


class Reading:
    """One parsed file."""

    def __init__(self, path: str, text: SourceText, tree: ast.Module) -> None:
        self.path = path
        self.text = text
        self.tree = tree
        self.parents: dict[ast.AST, ast.AST] = {}
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node

    def at(self, place: Location, kind: type[N]) -> list[N]:
        """Return the nodes of a kind that start where a finding stands, the outermost first."""
        return [node for node in self.nodes(self.tree, kind) if self._starts(node) == (place.line, place.column)]

    def one_at(self, place: Location, kind: type[N]) -> N | None:
        found = self.at(place, kind)
        return found[0] if found else None

    def _starts(self, node: ast.AST) -> tuple[int, int]:
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        if column and line and not (text := self.text.line(line)).isascii():
            column = len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))
        return line, column + 1

    @staticmethod
    def nodes(around: ast.AST, kind: type[N]) -> Iterator[N]:
        """Yield the nodes of a kind below one, in the order of breadth-first search."""
        return (node for node in ast.walk(around) if isinstance(node, kind))

    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Import | ast.ImportFrom)]

    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    def code(self, node: ast.stmt | ast.expr | ast.keyword) -> str:
        return self.text.code(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node stands in, from the inside out."""
        while (outer := self.parents.get(node)) is not None:
            yield outer
            node = outer

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the innermost statement that a node belongs to."""
        return node if isinstance(node, ast.stmt) else next(o for o in self.around(node) if isinstance(o, ast.stmt))

    def function(self, node: ast.AST) -> Function | ast.Module:
        """Return the function whose code a node is, or the module."""
        return next((o for o in self.around(node) if isinstance(o, Function)), self.tree)

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """Return the statements among which one stands."""
        outer = self.parents[statement]
        for name in _BLOCKS:
            block = getattr(outer, name, None)
            if isinstance(block, list) and statement in block:
                return block
        return [statement]  # a case of a match, or an except clause: their bodies are found by `body`

    def own(self, function: Function | ast.Module, kind: type[N]) -> list[N]:
        """Return the nodes of a kind that are a function's own code, not that of functions in it, in source order."""
        found: list[N] = []
        pending: list[ast.AST] = list(ast.iter_child_nodes(function))
        while pending:
            node = pending.pop()
            if isinstance(node, kind):
                found.append(node)
            if not isinstance(node, Scoped):
                pending.extend(ast.iter_child_nodes(node))
        return sorted(found, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))

    def bound(self) -> set[str]:
        """Return every name that the file binds or reads anywhere: none of them is free for something new."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.alias):
                names.add(node.asname or node.name.partition(".")[0])
            elif isinstance(node, ast.arg):
                names.add(node.arg)
            elif isinstance(node, Function | ast.ClassDef):
                names.add(node.name)
        return names


_READINGS: Key[dict[str, Reading | None]] = Key("readings for fixes")


def reading(context: FixContext, path: str) -> Reading | None:
    """Return a file of the run, parsed once for all fixes; None where CPython refuses it.

    Raises:
        UneditableError: its encoding is unknown, or does not give the same bytes back.
    """
    known = context.stash.get(_READINGS)
    if known is None:
        known = {}
        context.stash.put(_READINGS, known)
    if path not in known:
        file = context.file(path)
        tree = parse(file) if file is not None else None
        known[path] = Reading(path, context.text(path), tree) if tree is not None else None
    return known[path]


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` of names and attributes; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def same(first: ast.AST, second: ast.AST) -> bool:
    """Say whether two expressions are written alike, spacing and quotes aside."""
    return ast.dump(first) == ast.dump(second)


def method_call(node: ast.AST, *names: str) -> ast.Call | None:
    """Return the call where a node is one of a method of that name, or a statement that is only such a call."""
    if isinstance(node, ast.Expr):
        node = node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
        return node
    return None


def receiver(call: ast.Call) -> ast.expr:
    assert isinstance(call.func, ast.Attribute)
    return call.func.value


def is_plain(node: ast.AST) -> bool:
    """Say whether evaluating an expression again gives the same and does nothing: names, attributes, constants."""
    match node:
        case ast.Constant() | ast.Name():
            return True
        case ast.Attribute(value=value):
            return is_plain(value)
        case ast.Subscript(value=value, slice=ast.Constant() | ast.Name()):
            return is_plain(value)
    return False


def ordered(nodes: Sequence[N]) -> list[N]:
    return sorted(nodes, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))
