"""Decides where a module uses its global names: while it loads, inside which functions, or only in annotations."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages._source.walking import children, walk
from stages.syntax.imports.expressions import chain_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages.syntax.imports.program import Chain

When = Literal["loading", "function", "annotation", "lambda", "shadowed"]
Definition = ast.FunctionDef | ast.AsyncFunctionDef
_IDENTIFIER = late(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z")
_PLAIN_DECORATORS = frozenset({"property", "staticmethod", "classmethod", "abstractmethod"})


@dataclass(frozen=True, slots=True)
class UseOf:
    """A global name is read. `function` is the outermost function around it, as `Class.method`."""

    chain: Chain
    line: int
    when: When
    function: str = ""


@dataclass(slots=True)
class Usage:
    """What a module does with its names: `bindings` counts how often a statement binds one in the module's scope."""

    uses: list[UseOf] = field(default_factory=list)
    bindings: dict[str, int] = field(default_factory=dict)
    strings: set[str] = field(default_factory=set)


def usage_of(tree: ast.Module, *, postponed: bool) -> Usage:
    """Return the uses of every global name of a module; `postponed` annotations are not evaluated."""
    visitor = _Walk(postponed=postponed)
    for node in tree.body:
        visitor.visit(node, _Where())
    return visitor.usage


def own_bindings(function: Definition) -> set[str]:
    """Return the names that are local to a function itself, not to functions or comprehensions inside it."""
    names = _parameters(function.args)
    declared: set[str] = set()
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        names |= _bound_by(node)
        if isinstance(node, ast.Global):
            declared.update(node.names)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            pending.extend(children(node))
    return names - declared


def _parameters(arguments: ast.arguments) -> set[str]:
    several = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {item.arg for item in [*several, arguments.vararg, arguments.kwarg] if item}


def _bound_by(node: ast.AST) -> set[str]:
    """Return the names that this node itself binds in its scope."""
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return {node.name} if node.name else set()
    if isinstance(node, ast.MatchMapping):
        return {node.rest} if node.rest else set()
    return set()


@dataclass(frozen=True, slots=True)
class _Where:
    when: When = "loading"
    function: str = ""
    scope: str = ""  # classes around, with a trailing dot
    local: frozenset[str] = frozenset()
    inner: frozenset[str] = frozenset()  # bound somewhere below, perhaps in another scope


class _Walk:
    def __init__(self, *, postponed: bool) -> None:
        self.usage = Usage()
        self._postponed = postponed

    def visit(self, node: ast.AST, where: _Where) -> None:
        if not where.function and not where.scope:
            for name in _bound_by(node):
                self.usage.bindings[name] = self.usage.bindings.get(name, 0) + 1
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._definition(node, where)
        elif isinstance(node, ast.ClassDef):
            self._class(node, where)
        elif isinstance(node, ast.Lambda):
            self._lambda(node, where)
        elif isinstance(node, ast.AnnAssign):
            self._annotated(node, where)
        elif isinstance(node, ast.Name | ast.Attribute) and chain_of(node):
            self._name(chain_of(node), node, where)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and _IDENTIFIER.match(node.value):
                self.usage.strings.add(node.value)
        else:
            if isinstance(node, ast.Global):
                for name in node.names:
                    self.usage.bindings[name] = self.usage.bindings.get(name, 0) + 1
            self._all(children(node), where)

    def _all(self, nodes: Iterable[ast.AST | None], where: _Where) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node, where)

    def _name(self, chain: Chain, node: ast.expr, where: _Where) -> None:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            return
        if chain[0] in where.local:
            return
        when: When = "shadowed" if chain[0] in where.inner else where.when
        self.usage.uses.append(UseOf(chain, node.lineno, when, where.function))

    def _definition(self, node: Definition, where: _Where) -> None:
        self._all([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults], where)
        several = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        plain = all(chain_of(item)[-1:] and chain_of(item)[-1] in _PLAIN_DECORATORS for item in node.decorator_list)
        for annotation in [*(item.annotation for item in several if item), node.returns]:
            self._annotation(annotation, where, plain=plain)
        self._all(getattr(node, "type_params", ()), where)
        inner = where
        if not where.function:
            local = own_bindings(node)
            below = {name for item in walk(node) for name in _bound_by(item)} - {node.name}
            below |= {item.arg for item in walk(node) if isinstance(item, ast.arg)}
            inner = _Where("function", f"{where.scope}{node.name}", where.scope, frozenset(local), frozenset(below))
        self._all(node.body, inner)

    def _class(self, node: ast.ClassDef, where: _Where) -> None:
        self._all([*node.decorator_list, *node.bases, *node.keywords, *getattr(node, "type_params", ())], where)
        inner = where if where.function else _Where("loading", "", f"{where.scope}{node.name}.")
        self._all(node.body, inner)

    def _lambda(self, node: ast.Lambda, where: _Where) -> None:
        self._all([*node.args.defaults, *node.args.kw_defaults], where)
        local = where.local | _parameters(node.args)
        when: When = "lambda" if where.when == "loading" else where.when
        self.visit(node.body, _Where(when, where.function or "<lambda>", where.scope, local, where.inner - local))

    def _annotated(self, node: ast.AnnAssign, where: _Where) -> None:
        # a class may evaluate the annotations of its fields, whatever is postponed
        self._annotation(node.annotation, where, plain=not where.scope)
        self._all([node.target, node.value], where)

    def _annotation(self, node: ast.expr | None, where: _Where, *, plain: bool) -> None:
        if node is None:
            return
        deferred = _Where("annotation", where.function, where.scope, where.local, where.inner) if plain else where
        evaluated = where if where.function or not self._postponed else deferred
        for item in walk(node):
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                for name in _names_in(item.value):
                    self.usage.uses.append(UseOf((name,), item.lineno, deferred.when, deferred.function))
        mentioned = set(self.usage.strings)
        self.visit(node, evaluated)
        self.usage.strings = mentioned  # text in an annotation is a use, and has been counted as one


def _names_in(text: str) -> set[str]:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return set()
    return {item.id for item in walk(tree) if isinstance(item, ast.Name)}
