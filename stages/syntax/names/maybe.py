"""Decides which reads that some path leaves unbound are worth saying: those that no related test rules out."""

from __future__ import annotations

import ast
import itertools
from typing import TYPE_CHECKING

from stages.syntax.names.flow import Flow
from stages.syntax.names.scopes import How

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.syntax.names.flow import Reading
    from stages.syntax.names.scopes import Names, Scope

Body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
_MOST_TESTS = 5
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_CONDITIONAL = (ast.If, ast.IfExp, ast.While, ast.match_case, ast.BoolOp, ast.comprehension)
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def doubtful(names: Names, scope: Scope, node: Body, readings: list[Reading], *, future: bool) -> list[Reading]:
    """Return the readings that stay doubtful once tests that go together are taken together."""
    parents = _parents(node)
    kept = []
    for reading in readings:
        places = _bindings(node, reading)
        if not places or _behind_another_test(reading.node, places, parents):
            continue
        related = _related_tests(node, places, parents)
        if related is None or _ruled_out_by_exit(node, reading.node, places, parents):
            continue
        if not related or _open_for_some_answer(names, scope, node, reading, related, future=future):
            kept.append(reading)
    return kept


def certain(names: Names, scope: Scope, node: Body, readings: list[Reading], *, future: bool) -> list[Reading]:
    """Return the readings that no path survives, without those that tests which go together never reach."""
    kept = []
    parents = _parents(node) if readings else {}
    for reading in readings:
        owner, name = reading.variable
        deleted = any(b.how in (How.DELETED, How.EXCEPTION) for b in owner.bindings.get(name, ()))
        if deleted and _behind_another_test(reading.node, _bindings(node, reading), parents):
            continue
        related = _related_tests(node, [reading.node], parents)
        if not related or _open_for_some_answer(names, scope, node, reading, related, future=future):
            kept.append(reading)
    return kept


def leaf_tests(test: ast.expr) -> Iterator[tuple[str, bool, ast.expr]]:
    """Yield the parts of a test that are decided on their own: (what is asked, whether it is asked as it is, where)."""
    if isinstance(test, ast.BoolOp):
        for value in test.values:
            yield from leaf_tests(value)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        for key, positive, node in leaf_tests(test.operand):
            yield key, not positive, node
    else:
        yield (*_key(test), test)


def _key(test: ast.expr) -> tuple[str, bool]:
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        left, right = ast.dump(test.left), ast.dump(test.comparators[0])
        for positive, negative, sign in (
            (ast.Eq, ast.NotEq, "=="),
            (ast.Is, ast.IsNot, "is"),
            (ast.In, ast.NotIn, "in"),
            (ast.Lt, ast.GtE, "<"),
            (ast.Gt, ast.LtE, ">"),
        ):
            if isinstance(test.ops[0], positive | negative):
                return f"{left} {sign} {right}", isinstance(test.ops[0], positive)
    return ast.dump(test), True


def _parents(node: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: parent for parent in ast.walk(node) for child in ast.iter_child_nodes(parent)}


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one, nested functions and classes left out."""
    stack = list(ast.iter_child_nodes(node))
    while stack:
        part = stack.pop()
        yield part
        if not isinstance(part, _NESTED):
            stack.extend(ast.iter_child_nodes(part))


def _bindings(node: Body, reading: Reading) -> list[ast.AST]:
    scope, name = reading.variable
    places = {(b.line, b.column) for b in scope.bindings.get(name, ())}
    found = [
        part
        for part in ast.walk(node)
        if (getattr(part, "lineno", 0), getattr(part, "col_offset", -1)) in places
        and isinstance(part, ast.Name | ast.alias | ast.ExceptHandler | ast.stmt | ast.pattern)
    ]
    return [part for part in found if not (isinstance(part, ast.stmt) and not isinstance(part, _NESTED))]


def _chain(part: ast.AST, parents: dict[ast.AST, ast.AST]) -> list[ast.AST]:
    chain = []
    while part in parents:
        part = parents[part]
        chain.append(part)
    return chain


def _behind_another_test(use: ast.Name, places: list[ast.AST], parents: dict[ast.AST, ast.AST]) -> bool:
    """Return whether the read stands below a test that holds no binding: how the two relate is not known."""
    around_bindings = {ancestor for place in places for ancestor in _chain(place, parents)}
    below: ast.AST = use
    for ancestor in _chain(use, parents):
        if isinstance(ancestor, _CONDITIONAL) and ancestor not in around_bindings:
            first = getattr(ancestor, "test", None) is below or getattr(ancestor, "values", [None])[0] is below
            if not first:
                return True
        below = ancestor
    return False


def _related_tests(node: Body, places: list[ast.AST], parents: dict[ast.AST, ast.AST]) -> list[str] | None:
    """Return the tests around the bindings that are asked more than once; None where an answer may change between."""
    asked: dict[str, list[ast.expr]] = {}
    for part in _own_nodes(node):
        test = getattr(part, "test", None)
        if isinstance(part, ast.If | ast.IfExp | ast.While | ast.Assert) and isinstance(test, ast.expr):
            for key, _positive, leaf in leaf_tests(test):
                asked.setdefault(key, []).append(leaf)
    around: set[str] = set()
    for place in places:
        for ancestor in _chain(place, parents):
            if isinstance(ancestor, ast.If | ast.IfExp):
                around.update(key for key, _positive, _leaf in leaf_tests(ancestor.test))
    related = sorted(key for key in around if len(asked.get(key, ())) > 1)
    for key in related:
        leaves = asked[key]
        first, last = min(leaf.lineno for leaf in leaves), max(leaf.lineno for leaf in leaves)
        words = {name.id for leaf in leaves for name in ast.walk(leaf) if isinstance(name, ast.Name)}
        for part in _own_nodes(node):
            stored = isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id in words
            if stored and first <= getattr(part, "lineno", 0) <= last:
                return None
    return related if len(related) <= _MOST_TESTS else None


def _ruled_out_by_exit(node: Body, use: ast.Name, places: list[ast.AST], parents: dict[ast.AST, ast.AST]) -> bool:
    """Return whether a test between the bindings and the read leaves, or asserts, on something they depend on."""
    words: set[str] = set()
    for place in places:
        for ancestor in _chain(place, parents):
            test = getattr(ancestor, "test", None) or getattr(ancestor, "subject", None)
            if isinstance(test, ast.expr):
                words |= _words(test)
            if isinstance(ancestor, ast.If):
                words |= {w for child in (*ancestor.body, *ancestor.orelse) for w in _stored(child)}
    chain = set(_chain(use, parents))
    for part in _own_nodes(node):
        if isinstance(part, ast.Assert):
            leaves = True
        elif isinstance(part, ast.If) and part not in chain:
            leaves = any(body and isinstance(body[-1], _LEAVES) for body in (part.body, part.orelse))
        else:
            continue
        holds_binding = any(part in _chain(place, parents) for place in places)
        if leaves and not holds_binding and part.lineno < use.lineno and _words(part.test) & words:
            return True
    return False


def _words(test: ast.AST) -> set[str]:
    found = {part.id for part in ast.walk(test) if isinstance(part, ast.Name)}
    found |= {part.attr for part in ast.walk(test) if isinstance(part, ast.Attribute)}
    return found - {"self", "cls", "len", "isinstance", "hasattr", "getattr", "any", "all", "type"}


def _stored(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def _open_for_some_answer(
    names: Names, scope: Scope, node: Body, reading: Reading, related: list[str], *, future: bool
) -> bool:
    """Return whether, for some answers to the related tests, a path still leaves the name unbound at the read."""
    for answers in itertools.product((True, False), repeat=len(related)):
        given = dict(zip(related, answers, strict=True))

        def decide(test: ast.expr, given: dict[str, bool] = given) -> bool | None:
            key, positive = _key(test)
            return None if key not in given else given[key] is positive

        for again in Flow(names, scope, future, decide=decide).run(node):
            if again.node is reading.node and again.unbound:
                return True
    return False
