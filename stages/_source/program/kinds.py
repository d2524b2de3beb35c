"""Decides what a value is in training terms: a gradient scaler, an optimizer, a scaled loss, an autocast context."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.origins import classes, functions, named_classes, origins, resolve_bindings
from stages._source.program.scopes import own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Binding, Scope

Kind = Literal["scaler", "optimizer", "autocast", "framework", "scaled", "other"]
NOTHING: frozenset[Kind] = frozenset()
_DEPTH = 10
_KEEPS_SCALE = frozenset(["sum", "mean", "float", "double", "to", "reshape", "view", "squeeze", "div", "mul", "clone"])
_MAYBE_OURS = late(r"optim|adam|sgd|lion|accelerator|fabric|(?:grad|loss|amp|native|apex|fp16|dynamic)\w*scaler")
_DISPLAYS = (ast.List, ast.Tuple, ast.Set)


class Kinds:
    """Answers what an expression may be, each question once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._known: dict[tuple[ast.expr, Scope], frozenset[Kind]] = {}
        self._elements: dict[tuple[ast.expr, Scope], frozenset[Kind]] = {}
        self._training: dict[str, bool] = {}

    def of(self, expr: ast.expr, scope: Scope, depth: int = 0) -> frozenset[Kind]:
        """Return what `expr` may be; "other" is something known to be none of these, nothing at all is unknown."""
        if depth > _DEPTH:
            return NOTHING
        key = (expr, scope)
        if key not in self._known:
            self._known[key] = NOTHING  # what a value that is built from itself adds
            self._known[key] = self._of(expr, scope, depth + 1)
        return self._known[key]

    def is_scaler(self, expr: ast.expr, scope: Scope, module: Module) -> bool:
        return self._is("scaler", expr, scope, module)

    def is_optimizer(self, expr: ast.expr, scope: Scope, module: Module) -> bool:
        return self._is("optimizer", expr, scope, module)

    def is_framework(self, expr: ast.expr, scope: Scope, module: Module) -> bool:
        return self._is("framework", expr, scope, module)

    def _is(
        self, kind: Literal["scaler", "optimizer", "framework"], expr: ast.expr, scope: Scope, module: Module
    ) -> bool:
        """Known from its constructor or annotation, or else by its name where nothing speaks against it."""
        if kind == "optimizer" and "sched" in last_name(expr).lower():
            return False  # a scheduler, even where it is annotated as an optimizer
        known = self.of(expr, scope)
        if kind in known:
            return True
        return not known and _NAMED[kind](last_name(expr)) and self._trains(module)

    def _trains(self, module: Module) -> bool:
        """Say whether the file imports a training library: only there does a name alone mean something."""
        if module.path not in self._training:
            imported = [
                binding.origin
                for scope in module.scopes.scopes.values()
                for bindings in scope.bindings.values()
                for binding in bindings
                if binding.how == "import"
            ]
            self._training[module.path] = any(vocabulary.is_training_root(origin) for origin in imported)
        return self._training[module.path]

    def _of(self, expr: ast.expr, scope: Scope, depth: int) -> frozenset[Kind]:
        match expr:
            case ast.Constant(value=None):
                return NOTHING
            case ast.Constant() | ast.JoinedStr() | ast.Compare():
                return frozenset({"other"})
            case ast.Call():
                return self._of_call(expr, scope, depth)
            case ast.Name() | ast.Attribute():
                bindings = resolve_bindings(self.project, expr, scope)
                return self._any_binding(bindings, depth)
            case ast.IfExp(body=body, orelse=orelse):
                return self._any([body, orelse], scope, depth)
            case ast.BoolOp(values=values):
                return self._any(values, scope, depth)
            case ast.NamedExpr(value=value) | ast.Await(value=value) | ast.Starred(value=value):
                return self.of(value, scope, depth)
            case ast.BinOp(left=left, right=right):
                return self._any([left, right], scope, depth) & {"scaled"}
            case ast.Subscript(value=value):
                return self._element(value, scope, depth)
            case ast.Dict() | ast.List() | ast.Tuple() | ast.Set():
                return frozenset({"other"})
        return NOTHING

    def _any(self, exprs: Iterable[ast.expr], scope: Scope, depth: int) -> frozenset[Kind]:
        return NOTHING.union(*(self.of(expr, scope, depth) for expr in exprs))

    def _any_binding(self, bindings: Iterable[Binding], depth: int) -> frozenset[Kind]:
        return NOTHING.union(*(self._of_binding(binding, depth) for binding in bindings))

    def _of_binding(self, binding: Binding, depth: int) -> frozenset[Kind]:
        found: set[Kind] = set()
        if binding.annotation is not None:
            found |= self._annotated(binding.annotation, binding.scope)
        if binding.value is not None:
            if binding.how == "value":
                found |= self.of(binding.value, binding.scope, depth)
            elif binding.how == "parameter":  # a default only says what is meant where nothing is passed
                found |= self.of(binding.value, binding.scope, depth) - {"other"}
            elif binding.how == "element":
                found |= self._element(binding.value, binding.scope, depth)
            elif binding.how == "context" and _is_scale_loss(self.project, binding.value, binding.scope):
                found.add("scaled")
        if isinstance(binding.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add("other")
        return frozenset(found)

    def _element(self, value: ast.expr, scope: Scope, depth: int) -> frozenset[Kind]:
        """Return what one part of a collection is."""
        key = (value, scope)
        if key not in self._elements:
            self._elements[key] = NOTHING  # what a collection that is built from itself adds
            self._elements[key] = self._element_of(value, scope, depth)
        return self._elements[key]

    def _element_of(self, value: ast.expr, scope: Scope, depth: int) -> frozenset[Kind]:
        if isinstance(value, ast.Call):  # Lightning's self.optimizers() gives one or a list
            return self.of(value, scope, depth) & {"optimizer", "scaler"}
        if isinstance(value, ast.Name | ast.Attribute):
            found = NOTHING
            for binding in resolve_bindings(self.project, value, scope):
                if binding.how in ("value", "parameter") and binding.value is not None:
                    found |= self._element(binding.value, binding.scope, depth + 1) if depth < _DEPTH else NOTHING
            return found
        if isinstance(value, _DISPLAYS):
            return self._any(value.elts, scope, depth)
        if isinstance(value, ast.Dict):
            return self._any(value.values, scope, depth)
        return NOTHING

    def _annotated(self, annotation: ast.expr, scope: Scope) -> frozenset[Kind]:
        found: frozenset[Kind] = NOTHING
        for name in named_classes(annotation):  # a list of optimizers is no optimizer
            found |= _kinds_of_class(origins(self.project, name, scope))
        return found

    def _of_call(self, call: ast.Call, scope: Scope, depth: int) -> frozenset[Kind]:
        called = origins(self.project, call.func, scope)
        if known := _kinds_of_class(called):
            return known
        if vocabulary.names_autocast(called):
            return frozenset({"autocast"})
        if isinstance(call.func, ast.Attribute):
            method, receiver = call.func.attr, call.func.value
            inner = self.of(receiver, scope, depth)
            if method == "scale" and (
                "scaler" in inner or (not inner and vocabulary.called_like_scaler(last_name(receiver)))
            ):
                return frozenset({"scaled"})
            if method in _KEEPS_SCALE and "scaled" in inner:
                return frozenset({"scaled"})
            if method == "optimizers" and not call.args and not call.keywords:
                return frozenset({"optimizer"})
            if method == "autocast" and (
                "framework" in inner or (not inner and vocabulary.called_like_framework(last_name(receiver)))
            ):
                return frozenset({"autocast"})
        if made := self._returned(call, scope, depth):
            return made
        made_here = [cls.qualname for cls in classes(self.project, call.func, scope)]
        if any(_is_plain_class(origin) for origin in (*called, *made_here)):
            return frozenset({"other"})
        return NOTHING

    def _returned(self, call: ast.Call, scope: Scope, depth: int) -> frozenset[Kind]:
        """Return what a function of the task returns, or enters before it yields if it makes a context."""
        found = NOTHING
        for function in functions(self.project, call.func, scope):
            found |= self._any(function.returns, function, depth) - {"other"}
            node = function.node
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.returns is not None and function.parent is not None:
                found |= self._annotated(node.returns, function.parent)
            if any(last_name(item) in ("contextmanager", "asynccontextmanager") for item in node.decorator_list):
                found |= self._entered_around_yield(node, function, depth)
        return found

    def _entered_around_yield(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, function: Scope, depth: int
    ) -> frozenset[Kind]:
        found = NOTHING
        for inner in own_nodes(node.body):
            if isinstance(inner, ast.With | ast.AsyncWith) and any(
                isinstance(part, ast.Yield) for part in own_nodes(inner.body)
            ):
                found |= self._any([item.context_expr for item in inner.items], function, depth) & {"autocast"}
        return found


_NAMED = {
    "scaler": vocabulary.called_like_scaler,
    "optimizer": vocabulary.called_like_optimizer,
    "framework": vocabulary.called_like_framework,
}


def last_name(expr: ast.expr) -> str:
    """Return the last name of a dotted expression or of what it is indexed from: `x` of `a.x[0]`."""
    while isinstance(expr, ast.Subscript):
        expr = expr.value
    if isinstance(expr, ast.Attribute):
        return expr.attr
    return expr.id if isinstance(expr, ast.Name) else ""


def _kinds_of_class(called: frozenset[str]) -> frozenset[Kind]:
    found: set[Kind] = set()
    if vocabulary.names_scaler(called):
        found.add("scaler")
    if vocabulary.names_optimizer(called):
        found.add("optimizer")
    if vocabulary.names_framework(called):
        found.add("framework")
    return frozenset(found)


def _is_plain_class(origin: str) -> bool:
    """Recognise a class by its name: what it makes is nothing of ours, unless the name says otherwise."""
    name = origin.rpartition(".")[2]
    if not name[:1].isupper() or name.isupper():
        return False
    return _MAYBE_OURS.search(name.lower()) is None


def _is_scale_loss(project: Project, value: ast.expr, scope: Scope) -> bool:
    if not isinstance(value, ast.Call):
        return False
    return "apex.amp.scale_loss" in origins(project, value.func, scope)
