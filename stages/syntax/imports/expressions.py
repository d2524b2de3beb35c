"""Decides which names and attributes evaluating an expression reads, what it calls, and on what the rest depends."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.walking import children, walk
from stages.syntax.imports.named_imports import called_import
from stages.syntax.imports.program import Branch, Chain, ImportCall, Use

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.program import Instruction

_CONSUMERS = frozenset(
    {("tuple",), ("list",), ("set",), ("frozenset",), ("dict",), ("sum",), ("sorted",), ("max",), ("min",), ("any",)}
    | {("all",)}
)
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def chain_of(node: ast.expr) -> Chain:
    """Return ("a", "b") for `a.b`; () for anything that is not a name and attributes of it."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    parts.append(node.id)
    return tuple(reversed(parts))


class Expressions:
    """Walks expressions in evaluation order. `importers` are the callables that import a module by its name."""

    def __init__(self, conditions: Conditions, importers: frozenset[Chain]) -> None:
        self._conditions = conditions
        self._importers = importers

    def uses(self, nodes: Iterable[ast.expr]) -> list[Instruction]:
        """Return what the expressions read and call; what depends on a test stands in a branch."""
        found: list[Instruction] = []
        for node in nodes:
            self._walk(node, found)
        return found

    def _walk(self, node: ast.expr, found: list[Instruction]) -> None:
        if isinstance(node, ast.Name | ast.Attribute):
            if chain := chain_of(node):
                found.append(Use(node.lineno, ".".join(chain), chain, call=False))
            elif isinstance(node, ast.Attribute):
                self._of_call(node, found, call=False)
        elif isinstance(node, ast.Constant | ast.Lambda):
            return
        elif isinstance(node, ast.Call):
            self._call(node, found)
        elif isinstance(node, ast.BoolOp):
            self._operands(node.op, node.values, found)
        elif isinstance(node, ast.IfExp):
            self._choice(node, found)
        elif isinstance(node, ast.NamedExpr):
            self._walk(node.value, found)
        elif isinstance(node, _Comprehension):
            self._comprehension(node, found, consumed=not isinstance(node, ast.GeneratorExp))
        else:
            for child in children(node):
                if isinstance(child, ast.expr):
                    self._walk(child, found)

    def _operands(self, sign: ast.boolop, values: list[ast.expr], found: list[Instruction]) -> None:
        first, *rest = values
        self._walk(first, found)
        if not rest:
            return
        outcome = self._conditions.decide(first)
        if outcome is None:
            later: list[Instruction] = []
            self._operands(sign, rest, later)
            found += _branch(first, later, isinstance(sign, ast.And))
        elif outcome is isinstance(sign, ast.And):
            self._operands(sign, rest, found)

    def _choice(self, node: ast.IfExp, found: list[Instruction]) -> None:
        outcome = self._conditions.decide(node.test)
        self._walk(node.test, found)
        if outcome is not None:
            self._walk(node.body if outcome else node.orelse, found)
            return
        found += _branch(node.test, self.uses([node.body]), True)
        found += _branch(node.test, self.uses([node.orelse]), False)

    def _comprehension(self, node: _Comprehension, found: list[Instruction], *, consumed: bool) -> None:
        """Add what certainly runs: the element too, where the sources are seen to hold something."""
        self._walk(node.generators[0].iter, found)
        own = {item.id for part in node.generators for item in walk(part.target) if isinstance(item, ast.Name)}
        certain = consumed
        for number, part in enumerate(node.generators):
            certain = certain and not part.is_async
            if certain and number:
                found += _without(own, self.uses([part.iter]))
            certain = certain and holds_something(part.iter)
            if certain and part.ifs:
                found += _without(own, self.uses(part.ifs[:1]))
                certain = False
        if certain:
            made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            found += _without(own, self.uses(made))

    def _call(self, node: ast.Call, found: list[Instruction]) -> None:
        chain = chain_of(node.func)
        method = node.func if not chain and isinstance(node.func, ast.Attribute) else None
        if method is not None:
            self._of_call(method, found, call=False)
        elif not chain:
            self._walk(node.func, found)
        for argument in node.args:
            item = argument.value if isinstance(argument, ast.Starred) else argument
            if isinstance(item, ast.GeneratorExp):
                joins = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
                self._comprehension(item, found, consumed=chain in _CONSUMERS or joins)
            else:
                self._walk(item, found)
        for keyword in node.keywords:
            self._walk(keyword.value, found)
        if called := called_import(node, chain, self._importers):
            text = ast.unparse(node)
            found.append(ImportCall(node.lineno, text, node, called.name, called.level, called.base, called.whole))
        elif asked := _asked(node, chain):
            quiet = chain == ("hasattr",) or len(node.args) == 3
            found.append(Use(node.lineno, ast.unparse(node), asked, call=False, quiet=quiet))
        elif chain and chain not in {("hasattr",), ("getattr",)}:
            found.append(Use(node.lineno, f"{'.'.join(chain)}()", chain, call=True))
        elif method is not None:
            self._of_call(method, found, call=True)

    def _of_call(self, node: ast.Attribute, found: list[Instruction], *, call: bool) -> None:
        """Add what reading attributes of a call's result needs: `import_module("a").b`."""
        names = [node.attr]
        inner = node.value
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if not call:
            self._walk(inner, found)
        if isinstance(inner, ast.Call):
            chain = tuple(reversed(names))
            found.append(Use(node.lineno, f"{'.'.join(('(...)', *chain))}", chain, call, inner))


def _asked(node: ast.Call, chain: Chain) -> Chain:
    """Return what `getattr(a.b, "name")` or `hasattr(a.b, "name")` reads; () for any other call."""
    if chain not in {("hasattr",), ("getattr",)} or len(node.args) not in (2, 3) or node.keywords:
        return ()
    owner, name = chain_of(node.args[0]), node.args[1]
    return (*owner, name.value) if owner and isinstance(name, ast.Constant) and isinstance(name.value, str) else ()


def _branch(test: ast.expr, block: list[Instruction], when: bool) -> list[Instruction]:
    body = tuple(block)
    return [Branch(test, body if when else (), () if when else body, (), guess=False)] if body else []


def _without(own: set[str], found: Iterable[Instruction]) -> Iterator[Instruction]:
    """Leave out what reads a comprehension's own names, which hold whatever its sources hold."""
    for item in found:
        if isinstance(item, Use) and item.origin is None and item.chain[0] in own:
            continue
        if isinstance(item, Branch):
            if any(isinstance(inner, ast.Name) and inner.id in own for inner in ast.walk(item.test)):
                continue
            kept = [tuple(_without(own, block)) for block in (item.body, item.otherwise)]
            yield Branch(item.test, kept[0], kept[1], item.binds, item.guess)
        else:
            yield item


def holds_something(node: ast.expr) -> bool:
    """Say whether an iterable is plainly not empty."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return any(not isinstance(item, ast.Starred) for item in node.elts)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes) and bool(node.value)
    if isinstance(node, ast.Dict):
        return any(key is not None for key in node.keys)
    if not isinstance(node, ast.Call) or chain_of(node.func) != ("range",) or len(node.args) != 1:
        return False
    stop = node.args[0]
    return isinstance(stop, ast.Constant) and isinstance(stop.value, int) and stop.value > 0


def assigned_within(node: ast.AST) -> Iterator[ast.Name]:
    """Yield the names that `:=` binds in an expression of the scope around it."""
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, ast.NamedExpr):
            yield item.target
        if not isinstance(item, ast.Lambda):
            pending.extend(children(item))
