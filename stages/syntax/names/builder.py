"""Decides which scope each name of a syntax tree is bound in and read from, as CPython's symbol table does."""

from __future__ import annotations

import ast
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stages._source.typetext import last_word
from stages._source.walking import children, walk
from stages.syntax.names import tests_of
from stages.syntax.names.expressions import Expressions, arguments_of
from stages.syntax.names.reach import constant
from stages.syntax.names.scopes import How, Names, mangled
from stages.syntax.names.tests_of import mentions_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from stages._source.bytecode import Owner

_LAZY_ANNOTATIONS = sys.version_info >= (3, 14)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TYPING = frozenset({"typing", "typing_extensions"})
_ARRAY_TYPES = frozenset({"jaxtyping", "torchtyping", "nptyping"})
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # the fields that hold statements
_NEVER = frozenset({"NoReturn", "Never"})
_ENDINGS = frozenset({"exit", "quit", "sys.exit", "os._exit", "os.abort"})


def build(tree: ast.Module, data: bytes, *, stub: bool, owners: Iterable[Owner] | None = None) -> Names:
    """Collect every binding and every read of a module. In a stub file everything is for type checkers.

    Args:
        owners: the functions that will be followed; the bodies of others, whose names nobody else sees, are left out.
    """
    builder = _Builder(stub=stub, declares=b"global" in data or b"nonlocal" in data, versions=mentions_versions(data))
    if owners is not None and not builder.declares:
        builder.followed = tuple(line for line, _name in owners)
    builder.block(tree.body)
    builder.settle()
    return builder.names


class _Builder(Expressions):
    """Walks a tree once, statement by statement.

    `followed`: the first lines of the functions whose bodies are wanted; None: every body is.
    """

    followed: tuple[int, ...] | None = None

    def block(self, body: list[ast.stmt]) -> None:
        """Visit statements in order; those after a statement that leaves the block never run."""
        was_dead, was_guarded = self.dead, self.guarded
        for statement in body:
            self.statement(statement)
            if not self.reach.goes_on(statement):
                self.dead = True
            elif _ends_the_program(statement):  # compiled, but read by nobody
                self.guarded = True
        self.dead, self.guarded = was_dead, was_guarded

    def statement(self, node: ast.stmt) -> None:
        visit = _STATEMENTS.get(type(node))
        if visit is None:
            self.below(node)
        else:
            visit(self, node)

    def below(self, node: ast.AST) -> None:
        for child in children(node):
            if isinstance(child, ast.stmt):
                self.statement(child)
            else:
                self.expr(child)

    def if_(self, node: ast.If) -> None:
        self.expr(node.test)
        self.branches(node.test, lambda: self.block(node.body), lambda: self.block(node.orelse))

    def while_(self, node: ast.While) -> None:
        self.expr(node.test)
        with self.under(dropped=constant(node.test) is False, types_only=constant(node.test) is False):
            self.block(node.body)
        with self.under(dead=constant(node.test) is True):
            self.block(node.orelse)

    def try_(self, node: ast.Try) -> None:
        kind = tests_of.catches(node.handlers)
        with self.under(guarded=kind == "names", caught=kind == "all"):
            self.block(node.body)
        for handler in node.handlers:
            if handler.type is not None:
                self.expr(handler.type)
            if handler.name:
                self.bind(handler.name, How.EXCEPTION, handler)
            with self.under(versioned=tests_of.expects_old_python(handler)):
                self.block(handler.body)
        with self.under(dead=not self.reach.falls_through(node.body)):
            self.block(node.orelse)
        self.block(node.finalbody)

    def for_(self, node: ast.For | ast.AsyncFor) -> None:
        self.expr(node.iter)
        self.target(node.target, How.LOOP)
        self.block(node.body)
        self.block(node.orelse)

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.expr(item.context_expr)
            if item.optional_vars is not None:
                self.target(item.optional_vars, How.WITH)
        self.block(node.body)

    def match(self, node: ast.Match) -> None:
        self.expr(node.subject)
        for case in node.cases:
            for part in walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(part, ast.MatchAs | ast.MatchStar | ast.MatchMapping) and name:
                    self.bind(name, How.MATCH, part)
            self.pattern_values(case.pattern)
            if case.guard is not None:
                self.expr(case.guard)
            self.block(case.body)

    def pattern_values(self, pattern: ast.AST) -> None:
        for child in children(pattern):
            if isinstance(child, ast.expr):
                self.expr(child)
            else:
                self.pattern_values(child)

    def import_(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if alias.name in _TYPING:
                self.typing_modules.add(name)
            elif alias.name in _ARRAY_TYPES:
                self.shapes.add(name)
            self.bind(name, How.IMPORT, alias, alias.name)

    def import_from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        if module == "__future__":
            self.future |= any(alias.name == "annotations" for alias in node.names)
        for alias in node.names:
            if alias.name == "*":
                if not self.dead and not self.types_only:
                    self.names.stars.append(node.lineno)
                elif not self.dead:
                    self.names.stars.append(-node.lineno)
                continue
            if module in _TYPING:
                self.typing_names.add(alias.asname or alias.name)
            elif module in _ARRAY_TYPES:
                self.shapes.add(alias.asname or alias.name)
            self.bind(alias.asname or alias.name, How.IMPORT, alias, module)

    def assign(self, node: ast.Assign) -> None:
        self.expr(node.value)
        for target in node.targets:
            self.target(target, How.ASSIGNMENT)
            if isinstance(node.value, ast.Call) and isinstance(target, ast.Name) and self.scope.kind == "module":
                self.shapes.add(target.id)  # an object that somebody made is no generic class

    def aug_assign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.read(node.target)
        self.expr(node.value)
        self.target(node.target, How.ASSIGNMENT)

    def ann_assign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.expr(node.value)
        if isinstance(node.target, ast.Name):
            if node.value is not None:
                self.bind(node.target.id, How.ASSIGNMENT, node.target)
            elif node.simple or self.scope.kind == "function":
                self.bind(node.target.id, How.DECLARED, node.target)
        else:
            self.target(node.target, How.ASSIGNMENT)
        unevaluated = self.scope.is_function or (self.future and not isinstance(node.target, ast.Name))
        self.annotation(node.annotation, postponed=unevaluated)

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.target(target, How.DELETED)

    def global_(self, node: ast.Global) -> None:
        self.scope.globals.update(mangled(name, self.class_name) for name in node.names)

    def nonlocal_(self, node: ast.Nonlocal) -> None:
        self.scope.nonlocals.update(mangled(name, self.class_name) for name in node.names)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.expr(decorator)
        self.defaults(node.args)
        self.bind(node.name, How.FUNCTION, node)
        if _never_returns(node):
            self.names.never_return.add(node.name)
        with self.type_parameters(node):
            for argument in arguments_of(node.args):
                if argument.annotation is not None:
                    self.annotation(argument.annotation)
            if node.returns is not None:
                self.annotation(node.returns)
            if self.followed is not None and not self.holds_followed(node):
                self.left_out(node)
                return
            with self.inside("function", node.name, node):
                self.declare(node.body)
                for argument in arguments_of(node.args):
                    self.bind(argument.arg, How.PARAMETER, argument)
                self.block(node.body)

    def left_out(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Do not visit a body, but for what others may know of it: functions in it that cannot return, by name."""
        self.names.whole = False
        self.names.never_return.update(inner.name for inner in _functions_in(node.body) if _never_returns(inner))

    def holds_followed(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Return whether a function is one of those that are followed, or around one, or in one."""
        if self.scope.is_function:  # what stands in a function that is visited is visited
            return True
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        last = node.end_lineno or first
        return any(first <= line <= last for line in self.followed or ())

    def declare(self, body: list[ast.stmt]) -> None:
        """Apply `global` and `nonlocal` first: they hold for the whole scope wherever they stand."""
        stack: list[ast.AST] = list(body) if self.declares else []
        while stack:
            node = stack.pop()
            if isinstance(node, ast.Global):
                self.global_(node)
            elif isinstance(node, ast.Nonlocal):
                self.nonlocal_(node)
            elif not isinstance(node, ast.expr | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                stack.extend(children(node))

    def class_(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.expr(decorator)
        with self.type_parameters(node):
            for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
                self.expr(base)
                self.quoted(base)
            with self.inside("class", node.name, node):
                self.declare(node.body)
                self.block(node.body)
        self.bind(node.name, How.CLASS, node)

    def type_alias(self, node: ast.AST) -> None:
        name: ast.Name = node.name  # type: ignore[attr-defined]
        self.bind(name.id, How.ASSIGNMENT, name)
        with self.type_parameters(node), self.inside("lambda", "<type alias>", node):
            self.annotation(node.value)  # type: ignore[attr-defined]

    @contextmanager
    def type_parameters(self, node: ast.AST) -> Iterator[None]:
        parameters = getattr(node, "type_params", None)
        if not parameters:
            yield
            return
        outer = self.names.scope_of.get(node)
        with self.inside("types", f"{getattr(node, 'name', '')}[...]", parameters[0]):
            for parameter in parameters:
                self.bind(parameter.name, How.TYPE_PARAMETER, parameter)
                if isinstance(node, ast.ClassDef) and (private := mangled(parameter.name, node.name)) != parameter.name:
                    self.bind(private, How.TYPE_PARAMETER, parameter)  # what the body of the class calls it
            for parameter in parameters:
                for part in ("bound", "default_value"):
                    if (value := getattr(parameter, part, None)) is not None:
                        with self.inside("lambda", "<type parameter>", value):
                            self.annotation(value)
            yield
        if outer is not None:
            self.names.scope_of[node] = outer


def _functions_in(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions that statements define at any depth; expressions, which hold none, are not looked at."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for name in _BLOCKS:
            stack += getattr(node, name, ())


def _ends_the_program(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    function = node.value.func
    return isinstance(function, ast.Name | ast.Attribute) and ast.unparse(function) in _ENDINGS


def _never_returns(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if node.returns is not None:
        word = node.returns.value if isinstance(node.returns, ast.Constant) else last_word(node.returns)
        if isinstance(word, str) and word.rpartition(".")[2] in _NEVER:
            return True
    if isinstance(node, ast.AsyncFunctionDef) or not isinstance(node.body[-1], ast.Raise):
        return False
    return not any(isinstance(part, ast.Return | ast.Yield | ast.YieldFrom) for part in walk(node))


_STATEMENTS: dict[type[ast.AST], Callable[..., None]] = {
    ast.If: _Builder.if_,
    ast.While: _Builder.while_,
    ast.Try: _Builder.try_,
    ast.For: _Builder.for_,
    ast.AsyncFor: _Builder.for_,
    ast.With: _Builder.with_,
    ast.AsyncWith: _Builder.with_,
    ast.Match: _Builder.match,
    ast.Import: _Builder.import_,
    ast.ImportFrom: _Builder.import_from,
    ast.Assign: _Builder.assign,
    ast.AugAssign: _Builder.aug_assign,
    ast.AnnAssign: _Builder.ann_assign,
    ast.Delete: _Builder.delete,
    ast.Global: _Builder.global_,
    ast.Nonlocal: _Builder.nonlocal_,
    ast.FunctionDef: _Builder.function,
    ast.AsyncFunctionDef: _Builder.function,
    ast.ClassDef: _Builder.class_,
    **({ast.TryStar: _Builder.try_} if hasattr(ast, "TryStar") else {}),
    **({ast.TypeAlias: _Builder.type_alias} if hasattr(ast, "TypeAlias") else {}),
}
