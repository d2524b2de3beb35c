"""Decides what expressions bind and read, annotations and the strings in them included."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from stages._source.typetext import is_type_like, last_word, names_in_type
from stages._source.walking import children
from stages.syntax.names import tests_of
from stages.syntax.names.scopes import How, When
from stages.syntax.names.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LAZY_ANNOTATIONS = sys.version_info >= (3, 14)


class Expressions(Surroundings):
    """Walks expressions in the scope that surrounds them."""

    def expr(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self.read(node)
        elif visit := _EXPRESSIONS.get(type(node)):
            visit(self, node)
        elif not isinstance(node, ast.Constant):
            for child in children(node):
                self.expr(child)

    def lambda_(self, node: ast.Lambda) -> None:
        self.defaults(node.args)
        with self.inside("lambda", "<lambda>", node):
            for argument in arguments_of(node.args):
                self.bind(argument.arg, How.PARAMETER, argument)
            self.expr(node.body)

    def walrus(self, node: ast.NamedExpr) -> None:
        self.expr(node.value)
        owner = self.scope
        while owner.kind == "comprehension" and owner.parent is not None:
            owner = owner.parent
        self.bind(node.target.id, How.WALRUS, node.target, scope=owner)

    def bool_op(self, node: ast.BoolOp) -> None:
        """Visit operands in order: what stands after a version test runs on those versions only."""
        decisive = isinstance(node.op, ast.Or)
        versioned = other_version = False
        for operand in node.values:
            with self.under(versioned=versioned, guarded=other_version):
                self.expr(operand)
            if self.versions and tests_of.about_versions(operand):
                versioned = True
                other_version = other_version or tests_of.excluded_version(operand) is decisive

    def if_expression(self, node: ast.IfExp) -> None:
        self.expr(node.test)
        self.branches(node.test, lambda: self.expr(node.body), lambda: self.expr(node.orelse))

    def branches(self, test: ast.expr, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """Visit both branches of a test, each knowing whether it can run, here and on this Python."""
        verdict = tests_of.truth(test)
        holds = tests_of.runs(verdict)
        folded = verdict in ("true", "false")  # the compiler leaves the other branch out
        versioned = self.versions and tests_of.about_versions(test)
        current = tests_of.excluded_version(test) if versioned else None
        for visit, taken in ((then, True), (otherwise, False)):
            never = holds is not None and holds is not taken
            other_version = current is not None and current is not taken
            with self.under(types_only=never, dropped=never and folded, versioned=versioned, guarded=other_version):
                visit()

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.expr(node.generators[0].iter)
        with self.inside("comprehension", "<comprehension>", node):
            for position, generator in enumerate(node.generators):
                self.target(generator.target, How.LOOP)
                if position:
                    self.expr(generator.iter)
                for condition in generator.ifs:
                    self.expr(condition)
            if isinstance(node, ast.DictComp):
                self.expr(node.key)
                self.expr(node.value)
            else:
                self.expr(node.elt)

    def call(self, node: ast.Call) -> None:
        word = last_word(node.func)
        if word == "cast" and node.args and self._is_of_typing(node.func):
            self.quoted(node.args[0])
        elif word == "TypeVar":
            for constraint in node.args[1:]:
                self.quoted(constraint)
            for keyword in node.keywords:
                if keyword.arg in ("bound", "default"):
                    self.quoted(keyword.value)
        for child in children(node):
            self.expr(child)

    def _is_of_typing(self, node: ast.expr) -> bool:
        """Say whether a name comes from `typing`: libraries have a `cast` of their own."""
        if isinstance(node, ast.Attribute):
            return last_word(node.value) in self.typing_modules
        return last_word(node) in self.typing_names

    def subscript(self, node: ast.Subscript) -> None:
        if not self.scope.is_function and last_word(node.value) in self.typing_names:
            self.quoted(node)
        for child in children(node):
            self.expr(child)

    def target(self, node: ast.expr, how: How) -> None:
        if isinstance(node, ast.Name):
            if how is How.DELETED:
                self.read(node)
            self.bind(node.id, how, node)
        elif isinstance(node, ast.Tuple | ast.List):
            for element in node.elts:
                self.target(element, how)
        elif isinstance(node, ast.Starred):
            self.target(node.value, how)
        else:
            self.expr(node)

    def annotation(self, node: ast.expr, *, postponed: bool = False) -> None:
        if postponed and not is_type_like(node):
            return
        if self.future or _LAZY_ANNOTATIONS or postponed:
            for name in names_in_type(node, quoted=True, shapes=frozenset(self.shapes)):
                self.read(name, When.TEXT if isinstance(node, ast.Constant) else When.POSTPONED)
        else:
            self.quoted(node)
            self.expr(node)

    def quoted(self, node: ast.expr) -> None:
        """Read the names inside the strings of a type expression."""
        found = names_in_type(node, quoted=False, shapes=frozenset(self.shapes))
        seen = {(name.id, name.lineno, name.col_offset): name for name in found}
        for name in seen.values():
            self.read(name, When.TEXT)

    def defaults(self, arguments: ast.arguments) -> None:
        for value in (*arguments.defaults, *arguments.kw_defaults):
            if value is not None:
                self.expr(value)


def arguments_of(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args)
    if arguments.vararg is not None:
        yield arguments.vararg
    yield from arguments.kwonlyargs
    if arguments.kwarg is not None:
        yield arguments.kwarg


_EXPRESSIONS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Lambda: Expressions.lambda_,
    ast.NamedExpr: Expressions.walrus,
    ast.ListComp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension,
    ast.DictComp: Expressions.comprehension,
    ast.GeneratorExp: Expressions.comprehension,
    ast.IfExp: Expressions.if_expression,
    ast.BoolOp: Expressions.bool_op,
    ast.Call: Expressions.call,
    ast.Subscript: Expressions.subscript,
}
