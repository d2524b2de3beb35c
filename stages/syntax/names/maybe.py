"""Decides which reads that some path leaves unbound are worth saying: those that no related test rules out."""

from __future__ import annotations

import ast
import itertools
from typing import TYPE_CHECKING

from stages._source.walking import children, walk
from stages.syntax.names.scopes import How

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stages.syntax.names.reads import Reading

    Follow = Callable[[Callable[[ast.expr], bool | None]], list[Reading]]

Body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
_MOST_TESTS = 5
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_CONDITIONAL = (ast.If, ast.IfExp, ast.While, ast.match_case, ast.BoolOp, ast.comprehension)
_BINDERS = (ast.Name, ast.alias, ast.ExceptHandler, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.pattern)
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class Surroundings:
    """The nodes of one body, found once: by place, and each with what stands around it."""

    def __init__(self, node: Body) -> None:
        self.node = node
        self.parents: dict[ast.AST, ast.AST] = {}
        self.at: dict[tuple[int, int], list[ast.AST]] = {}
        self._own: list[ast.AST] = []
        found: list[ast.AST] = [node]
        for part in found:
            below = children(part)
            found += below
            for child in below:
                self.parents[child] = part
            if isinstance(part, _BINDERS):
                self.at.setdefault((part.lineno, part.col_offset), []).append(part)

    def bindings(self, reading: Reading) -> list[ast.AST]:
        """Return the nodes that bind the name of a reading."""
        scope, name = reading.variable
        return [part for b in scope.bindings.get(name, ()) for part in self.at.get((b.line, b.column), ())]

    def chain(self, part: ast.AST) -> list[ast.AST]:
        """Return what stands around a node, the nearest first."""
        chain = []
        while part in self.parents:
            part = self.parents[part]
            chain.append(part)
        return chain

    def own(self) -> list[ast.AST]:
        """Return the nodes of the body, nested functions and classes left out."""
        if not self._own:
            stack = children(self.node)
            while stack:
                part = stack.pop()
                self._own.append(part)
                if not isinstance(part, _NESTED):
                    stack.extend(children(part))
        return self._own


def doubtful(flow: Follow, around: Surroundings, readings: list[Reading]) -> list[Reading]:
    """Return the readings that stay doubtful once tests that go together are taken together."""
    kept = []
    for reading in readings:
        places = around.bindings(reading)
        if not places or _behind_another_test(reading.node, places, around):
            continue
        if _from_an_earlier_round(reading.node, places, around):
            continue
        related = _related_tests(places, around)
        if related is None or _ruled_out_by_exit(reading.node, places, around):
            continue
        if not related or _open_for_some_answer(flow, reading, related):
            kept.append(reading)
    return kept


def certain(flow: Follow, around: Surroundings, readings: list[Reading]) -> list[Reading]:
    """Return the readings that no path survives, without those that tests which go together never reach."""
    kept = []
    for reading in readings:
        owner, name = reading.variable
        before = {b.how for b in owner.bindings.get(name, ()) if b.line < reading.use.line}
        if (
            How.EXCEPTION in before
            and len(before) > 1
            and _behind_another_test(reading.node, around.bindings(reading), around)
        ):
            continue
        related = _related_tests([reading.node], around, pure=True)
        if not related or _open_for_some_answer(flow, reading, related):
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


def _behind_another_test(use: ast.Name, places: list[ast.AST], around: Surroundings) -> bool:
    """Return whether the read stands below a test that holds no binding: how the two relate is not known."""
    around_bindings = {ancestor for place in places for ancestor in around.chain(place)}
    below: ast.AST = use
    for ancestor in around.chain(use):
        if isinstance(ancestor, _CONDITIONAL) and ancestor not in around_bindings:
            first = getattr(ancestor, "test", None) is below or getattr(ancestor, "values", [None])[0] is below
            if not first:
                return True
        below = ancestor
    return False


def _from_an_earlier_round(use: ast.Name, places: list[ast.AST], around: Surroundings) -> bool:
    """Return whether, in a loop, one branch of a test binds what the other reads: `if first: x = … else: x = f(x)`."""
    chain = around.chain(use)
    loops = [part for part in chain if isinstance(part, ast.For | ast.AsyncFor | ast.While)]
    if not loops:
        return False
    inside = chain[: chain.index(loops[-1])]
    below = {parent: child for child, parent in itertools.pairwise([use, *chain])}
    for test in inside:
        if isinstance(test, ast.If):
            here = below[test] in test.body
            for place in places:
                path = [place, *around.chain(place)]
                if test in path and (path[path.index(test) - 1] in test.body) is not here:
                    return True
    return False


def _related_tests(places: list[ast.AST], around: Surroundings, *, pure: bool = False) -> list[str] | None:
    """Return the tests around the bindings that are asked more than once; None where an answer may change between.

    With `pure`, tests that call something are left out: it may answer differently each time.
    """
    asked: dict[str, list[ast.expr]] = {}
    for part in around.own():
        test = getattr(part, "test", None)
        if isinstance(part, ast.If | ast.IfExp | ast.While | ast.Assert) and isinstance(test, ast.expr):
            for key, _positive, leaf in leaf_tests(test):
                asked.setdefault(key, []).append(leaf)
    guards: set[str] = set()
    for place in places:
        for ancestor in around.chain(place):
            if isinstance(ancestor, ast.If | ast.IfExp):
                guards.update(key for key, _positive, _leaf in leaf_tests(ancestor.test))
    related = sorted(key for key in guards if len(asked.get(key, ())) > 1 and not (pure and _calls(asked[key])))
    for key in related:
        leaves = asked[key]
        first, last = min(leaf.lineno for leaf in leaves), max(leaf.lineno for leaf in leaves)
        words = {name.id for leaf in leaves for name in walk(leaf) if isinstance(name, ast.Name)}
        for part in around.own():
            stored = isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id in words
            if stored and first <= getattr(part, "lineno", 0) <= last:
                return None
    return related if len(related) <= _MOST_TESTS else None


def _calls(leaves: list[ast.expr]) -> bool:
    """Return whether asking may change the answer."""
    return any(isinstance(part, ast.Call | ast.Await | ast.NamedExpr) for leaf in leaves for part in walk(leaf))


def _ruled_out_by_exit(use: ast.Name, places: list[ast.AST], around: Surroundings) -> bool:
    """Return whether a test between the bindings and the read leaves, or asserts, on something they depend on."""
    words: set[str] = set()
    for place in places:
        for ancestor in around.chain(place):
            test = getattr(ancestor, "test", None) or getattr(ancestor, "subject", None)
            if isinstance(test, ast.expr):
                words |= _words(test)
            if isinstance(ancestor, ast.If):
                words |= {w for child in (*ancestor.body, *ancestor.orelse) for w in _stored(child)}
    chain = set(around.chain(use))
    for part in around.own():
        if isinstance(part, ast.Assert):
            leaves = True
        elif isinstance(part, ast.If) and part not in chain:
            leaves = any(body and isinstance(body[-1], _LEAVES) for body in (part.body, part.orelse))
        else:
            continue
        holds_binding = any(part in around.chain(place) for place in places)
        if leaves and not holds_binding and part.lineno < use.lineno and _words(part.test) & words:
            return True
    return False


def _words(test: ast.AST) -> set[str]:
    found = {part.id for part in walk(test) if isinstance(part, ast.Name)}
    found |= {part.attr for part in walk(test) if isinstance(part, ast.Attribute)}
    return found - {"self", "cls", "len", "isinstance", "hasattr", "getattr", "any", "all", "type"}


def _stored(node: ast.AST) -> set[str]:
    return {part.id for part in walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def _open_for_some_answer(flow: Follow, reading: Reading, related: list[str]) -> bool:
    """Return whether, for some answers to the related tests, a path still leaves the name unbound at the read."""
    for answers in itertools.product((True, False), repeat=len(related)):
        given = dict(zip(related, answers, strict=True))

        def decide(test: ast.expr, given: dict[str, bool] = given) -> bool | None:
            key, positive = _key(test)
            return None if key not in given else given[key] is positive

        if any(again.node is reading.node and again.unbound for again in flow(decide)):
            return True
    return False
