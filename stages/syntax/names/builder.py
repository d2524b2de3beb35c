"""Decides which scope each name of a syntax tree is bound in and read from, as CPython's symbol table does."""

from __future__ import annotations

import ast
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stages._source.typetext import is_type_like, last_word, names_in_type
from stages._source.walking import children, walk
from stages.syntax.names import tests_of
from stages.syntax.names.reach import Reach, constant
from stages.syntax.names.scopes import Binding, How, Names, Scope, Use, When, mangled
from stages.syntax.names.tests_of import mentions_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stages.syntax.names.scopes import ScopeKind

_LAZY_ANNOTATIONS = sys.version_info >= (3, 14)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TYPING = frozenset({"typing", "typing_extensions"})
_NEVER = frozenset({"NoReturn", "Never"})


def build(tree: ast.Module, data: bytes, *, stub: bool) -> Names:
    """Collect every binding and every read of a module. In a stub file everything is for type checkers."""
    builder = _Builder(stub=stub, declares=b"global" in data or b"nonlocal" in data, versions=mentions_versions(data))
    builder.block(tree.body)
    builder.settle()
    return builder.names


class _Builder:
    """Walks a tree once, holding the scope it is in and what surrounds the current statement."""

    def __init__(self, *, stub: bool, declares: bool, versions: bool) -> None:
        self.reach = Reach()
        self.declares = declares
        self.versions = versions
        self.scope = Scope("module", "", 1, None)
        self.names = Names(self.scope, [self.scope])
        self.stub = stub
        self.future = False
        self.class_name: str | None = None
        self.types_only = stub
        self.dead = False
        self.dropped = False
        self.guarded = False
        self.caught = False
        self.versioned = False
        self.typing_names: set[str] = set()
        self.pending: list[Binding] = []

    # -- what is written down

    def bind(self, name: str, how: How, node: ast.AST, module: str = "", scope: Scope | None = None) -> None:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        target = scope or self.scope
        name = mangled(name, self.class_name)
        never = self.types_only or self.dead
        binding = Binding(
            name, how, line, column, target, types_only=never, module=module, compiled=not (self.dead or self.dropped)
        )
        if name in target.globals or name in target.nonlocals:
            self.pending.append(binding)
        else:
            target.bindings.setdefault(name, []).append(binding)

    def read(self, node: ast.Name, when: When | None = None) -> None:
        if self.dead or self.guarded:
            return
        if when is None or self.types_only:
            when = When.TYPES_ONLY if self.types_only else When.RUN
        name = mangled(node.id, self.class_name)
        use = Use(name, node.lineno, node.col_offset, self.scope, when, self.versioned, self.caught)
        self.names.uses.append(use)
        self.names.use_of[node] = use

    def settle(self) -> None:
        """Hand bindings of names declared global or nonlocal to the scope that owns the name."""
        for binding in self.pending:
            inner = binding.scope
            owner = inner.module
            if binding.name in inner.nonlocals:
                around = [s for s in inner.ancestors() if s.is_function and binding.name in s.bindings]
                owner = around[0] if around else owner
            if inner is not owner:
                owner.foreign.add(binding.name)
            owner.bindings.setdefault(binding.name, []).append(binding)

    # -- surroundings

    @contextmanager
    def inside(self, kind: ScopeKind, name: str, node: ast.AST) -> Iterator[Scope]:
        outer, outer_class = self.scope, self.class_name
        flags = self.guarded, self.caught
        self.scope = Scope(kind, name, getattr(node, "lineno", 1), outer)
        self.names.scopes.append(self.scope)
        self.names.scope_of[node] = self.scope
        if kind == "class":
            self.class_name = name
        if kind in ("function", "lambda"):
            self.guarded = self.caught = False  # its body runs later, outside of the try
        yield self.scope
        self.scope, self.class_name = outer, outer_class
        self.guarded, self.caught = flags

    @contextmanager
    def under(self, **flags: bool) -> Iterator[None]:
        before = {key: getattr(self, key) for key in flags}
        for key, value in flags.items():
            setattr(self, key, value or before[key])
        yield
        for key, value in before.items():
            setattr(self, key, value)

    # -- statements

    def block(self, body: list[ast.stmt]) -> None:
        """Visit statements in order; those after a statement that leaves the block never run."""
        was_dead = self.dead
        for statement in body:
            self.statement(statement)
            if not self.reach.goes_on(statement):
                self.dead = True
        self.dead = was_dead

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
        verdict = tests_of.truth(node.test)
        holds = tests_of.runs(verdict)
        dropped = verdict in ("true", "false")  # the compiler leaves the other branch out
        versioned = self.versions and tests_of.about_versions(node.test)
        current = tests_of.excluded_version(node.test) if versioned else None
        for body, taken in ((node.body, True), (node.orelse, False)):
            never = holds is not None and holds is not taken
            other_version = current is not None and current is not taken
            with self.under(
                types_only=never,
                dropped=never and dropped,
                versioned=versioned,
                guarded=other_version,
            ):
                self.block(body)

    def while_(self, node: ast.While) -> None:
        self.expr(node.test)
        with self.under(types_only=tests_of.runs(tests_of.truth(node.test)) is False):
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
            self.bind(alias.asname or alias.name, How.IMPORT, alias, module)

    def assign(self, node: ast.Assign) -> None:
        self.expr(node.value)
        for target in node.targets:
            self.target(target, How.ASSIGNMENT)

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
            for argument in _arguments(node.args):
                if argument.annotation is not None:
                    self.annotation(argument.annotation)
            if node.returns is not None:
                self.annotation(node.returns)
            with self.inside("function", node.name, node):
                self.declare(node.body)
                for argument in _arguments(node.args):
                    self.bind(argument.arg, How.PARAMETER, argument)
                self.block(node.body)

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

    def defaults(self, arguments: ast.arguments) -> None:
        for value in (*arguments.defaults, *arguments.kw_defaults):
            if value is not None:
                self.expr(value)

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
            for parameter in parameters:
                for part in ("bound", "default_value"):
                    if (value := getattr(parameter, part, None)) is not None:
                        with self.inside("lambda", "<type parameter>", value):
                            self.annotation(value)
            yield
        if outer is not None:
            self.names.scope_of[node] = outer

    # -- expressions

    def expr(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self.read(node)
        elif isinstance(node, ast.Lambda):
            self.defaults(node.args)
            with self.inside("lambda", "<lambda>", node):
                for argument in _arguments(node.args):
                    self.bind(argument.arg, How.PARAMETER, argument)
                self.expr(node.body)
        elif isinstance(node, _COMPREHENSIONS):
            self.comprehension(node)
        elif isinstance(node, ast.NamedExpr):
            self.expr(node.value)
            owner = self.scope
            while owner.kind == "comprehension" and owner.parent is not None:
                owner = owner.parent
            self.bind(node.target.id, How.WALRUS, node.target, scope=owner)
        elif isinstance(node, ast.IfExp):
            self.if_expression(node)
        elif isinstance(node, ast.Call):
            self.call(node)
        elif isinstance(node, ast.Subscript):
            self.subscript(node)
        elif not isinstance(node, ast.Constant):
            for child in children(node):
                self.expr(child)

    def if_expression(self, node: ast.IfExp) -> None:
        self.expr(node.test)
        holds = tests_of.runs(tests_of.truth(node.test))
        versioned = self.versions and tests_of.about_versions(node.test)
        current = tests_of.excluded_version(node.test) if versioned else None
        for branch, taken in ((node.body, True), (node.orelse, False)):
            other_version = current is not None and current is not taken
            with self.under(
                types_only=holds is not None and holds is not taken, versioned=versioned, guarded=other_version
            ):
                self.expr(branch)

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
        if word == "cast" and node.args:
            self.quoted(node.args[0])
        elif word == "TypeVar":
            for constraint in node.args[1:]:
                self.quoted(constraint)
            for keyword in node.keywords:
                if keyword.arg in ("bound", "default"):
                    self.quoted(keyword.value)
        for child in children(node):
            self.expr(child)

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
            for name in names_in_type(node, quoted=True):
                self.read(name, When.TEXT if isinstance(node, ast.Constant) else When.POSTPONED)
        else:
            self.quoted(node)
            self.expr(node)

    def quoted(self, node: ast.expr) -> None:
        """Read the names inside the strings of a type expression."""
        seen = {(name.id, name.lineno, name.col_offset): name for name in names_in_type(node, quoted=False)}
        for name in seen.values():
            self.read(name, When.TEXT)


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args)
    if arguments.vararg is not None:
        yield arguments.vararg
    yield from arguments.kwonlyargs
    if arguments.kwarg is not None:
        yield arguments.kwarg


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
