"""Decides what a module's statements do to its initialisation: a syntax tree becomes a short program."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.walking import children, walk
from stages.syntax.imports import program as p
from stages.syntax.imports.conditions import literal_constants, names_declared_global
from stages.syntax.imports.expressions import Expressions, assigned_within, chain_of, holds_something
from stages.syntax.imports.functions import is_suspended, own_names
from stages.syntax.imports.listed import listed
from stages.syntax.imports.named_imports import importers, may_import_by_name
from stages.syntax.imports.statements import import_text
from stages.syntax.imports.tree_scan import is_dynamic
from stages.syntax.names.scopes import mangled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages.syntax.imports.conditions import Conditions

_DYNAMIC = (b"globals", b"vars", b"locals", b"exec", b"eval", b"setattr", b"__path__")
# each begins with plain bytes, which CPython looks for at once
_MAY_BE_DYNAMIC = (*(late(word + rb"(?<![.\w]" + word + rb")\b") for word in _DYNAMIC), late(rb"sys\s*\.\s*modules\b"))
_MAY_DECLARE_GLOBAL = late(rb"^[ \t]+global\s|[;:]\s*global\s", re.MULTILINE)
_OBSCURING = frozenset({"globals", "vars", "locals", "exec", "setattr"})


def lower_module(tree: ast.Module, conditions: Conditions, text: bytes) -> p.Block:
    """Return the program of a module as it runs on import; what its text does not mention is not looked for."""
    declared = names_declared_global(tree) if b"global" in text and _MAY_DECLARE_GLOBAL.search(text) else frozenset()
    known = importers(tree) if may_import_by_name(text) else frozenset()
    hidden = any(pattern.search(text) for pattern in _MAY_BE_DYNAMIC) and is_dynamic(tree)
    conditions = replace(conditions, constants={} if hidden else literal_constants(tree, declared))
    lowering = _Lowering(conditions, known, postponed=is_postponed(tree, conditions), function=None)
    lowering.assigns_within = b":=" in text
    lowering.unfollowed = None if hidden else declared
    return lowering.block(tree.body)


def is_postponed(tree: ast.Module, conditions: Conditions) -> bool:
    """Say whether the module's annotations are not evaluated where they stand."""
    return conditions.version >= (3, 14) or any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(a.name == "annotations" for a in node.names)
        for node in tree.body
    )


def lower_function(function: p.Function, conditions: Conditions) -> p.Block:
    """Return the program of a function's body, made once."""
    if function.block is None:
        function.globals = frozenset(
            name for node in walk(function.node) if isinstance(node, ast.Global) for name in node.names
        )
        function.locals = (function.outer | own_names(function.node)) - function.globals
        if is_suspended(function.node):
            function.block = ()
            return function.block
        lowering = _Lowering(conditions, function.importers, postponed=function.postponed, function=function)
        lowering.unfollowed = function.globals
        function.block = lowering.block(function.node.body)
    return function.block


class _Lowering:
    """`unfollowed` are names whose values functions may change unseen; None: any name is one."""

    def __init__(
        self, conditions: Conditions, known: frozenset[p.Chain], *, postponed: bool, function: p.Function | None
    ) -> None:
        self._conditions = conditions
        self._importers = known
        self._expressions = Expressions(conditions, known)
        self.unfollowed: frozenset[str] | None = None
        self.assigns_within = True
        self._postponed = postponed
        self._function = function
        self._out: list[p.Instruction] = []
        self._class_name: str | None = None

    def block(self, body: Sequence[ast.stmt]) -> p.Block:
        outer, self._out = self._out, []
        for node in body:
            self._statement(node)
        done, self._out = self._out, outer
        return tuple(done)

    def _statement(self, node: ast.stmt) -> None:  # noqa: PLR0912  (one line per kind of statement)
        if isinstance(node, ast.Import):
            for alias in node.names:
                text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                module = mangled(alias.name, self._class_name)
                self._out.append(p.ImportModule(node.lineno, text, module, alias.asname))
        elif isinstance(node, ast.ImportFrom):
            if node.module != "__future__":
                names = tuple((mangled(a.name, self._class_name), a.asname or a.name) for a in node.names)
                module = mangled(node.module or "", self._class_name)
                self._out.append(p.ImportNames(node.lineno, import_text(node), module, node.level, names))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._definition(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, ast.If):
            self._branch(node)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._attempt(node)
        elif isinstance(node, ast.With | ast.AsyncWith):
            self._with(node)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            self._loop(node)
        elif isinstance(node, ast.Match):
            self._use(node.subject)
            self._either([[*_pattern_binds(case), *case.body] for case in node.cases])
        elif isinstance(node, ast.Return | ast.Raise):
            self._leave(node)
        elif isinstance(node, ast.Delete):
            gone = tuple(item.id for item in node.targets if isinstance(item, ast.Name))
            self._out.append(p.Delete(node.lineno, _first_line(node), gone))
        else:
            self._simple(node)

    def _use(self, *nodes: ast.expr | None) -> None:
        for node in nodes:
            if node is not None:
                self._out += self._expressions.uses([node])
                if self.assigns_within:
                    self._bind(assigned_within(node))

    def _simple(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            self._assign(node.targets, node.value, node)
        elif isinstance(node, ast.AnnAssign):
            if self._function is None and not self._postponed:
                self._use(node.annotation)
            if node.value is not None:
                self._assign([node.target], node.value, node)
        elif isinstance(node, ast.AugAssign):
            self._augmented(node)
        elif isinstance(node, ast.Expr | ast.Assert):
            self._use(node.value if isinstance(node, ast.Expr) else node.test)
            self._append_to_all(node)
        if self._function is None and _obscures(node):
            self._out.append(p.Obscure())
        if isinstance(node, ast.stmt) and hasattr(ast, "TypeAlias") and isinstance(node, ast.TypeAlias):
            self._bind([node.name])

    def _assign(self, targets: list[ast.expr], value: ast.expr, node: ast.stmt) -> None:
        self._use(value)
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            self._out.append(p.ExtendAll(listed(value), True, node.lineno, _first_line(node)))
            return
        chain = chain_of(value)
        for target in targets:
            if isinstance(target, ast.Name) and chain:
                self._out.append(p.Alias(target.id, chain, node.lineno, _first_line(node)))
            elif isinstance(target, ast.Name) and self._is_followed(target.id, value):
                self._out.append(p.Assign(target.id, value))
            else:
                self._store(target, node)

    def _is_followed(self, name: str, value: ast.expr) -> bool:
        if self.unfollowed is None or name in self.unfollowed:
            return isinstance(value, ast.Call)  # a module is a module whoever changes what
        if isinstance(value, ast.Constant):
            return value.value is not ...
        return isinstance(value, ast.Call | ast.BoolOp | ast.IfExp | ast.Compare | ast.UnaryOp)

    def _store(self, target: ast.expr, node: ast.stmt) -> None:
        if not isinstance(target, ast.Name):
            self._use(*_loads_in_target(target))
        if isinstance(target, ast.Attribute) and (owner := chain_of(target.value)):
            self._out.append(p.SetAttribute(owner, target.attr, node.lineno, _first_line(node)))
        self._bind([target])

    def _augmented(self, node: ast.AugAssign) -> None:
        self._use(node.value)
        if isinstance(node.target, ast.Name) and node.target.id == "__all__":
            self._out.append(p.ExtendAll(listed(node.value), False, node.lineno, _first_line(node)))
        elif isinstance(node.target, ast.Name):
            self._out.append(p.Use(node.lineno, _first_line(node), (node.target.id,), call=False))
            self._bind([node.target])
        else:
            self._use(*_loads_in_target(node.target))

    def _append_to_all(self, node: ast.stmt) -> None:
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and chain_of(call.func)[:1] == ("__all__",):
            added = listed(call.args[0]) if len(call.args) == 1 else None
            if chain_of(call.func) == ("__all__", "append") and isinstance(call.args[0], ast.Constant):
                added = (str(call.args[0].value),)
            elif chain_of(call.func) != ("__all__", "extend"):
                added = None
            self._out.append(p.ExtendAll(added, False, node.lineno, _first_line(node)))

    def _bind(self, targets: Iterable[ast.expr | None]) -> None:
        names = [
            item.id
            for target in targets
            if target is not None
            for item in walk(target)
            if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
        ]
        if names:
            self._out.append(p.Bind(tuple(names)))

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._use(*node.decorator_list, *node.args.defaults, *node.args.kw_defaults)
        if not self._postponed:
            arguments = [
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
                node.args.vararg,
                node.args.kwarg,
            ]
            self._use(*(item.annotation for item in arguments if item), node.returns)
        self._call_decorators(node.decorator_list)
        if isinstance(node, ast.AsyncFunctionDef) or node.decorator_list:
            self._out.append(p.Bind((node.name,)))
        else:
            self._out.append(p.Define(node.name, self._function_of(node)))

    def _function_of(self, node: ast.FunctionDef) -> p.Function:
        outer = self._function.locals if self._function is not None else frozenset()
        return p.Function(node, self._postponed, self._importers, outer)

    def _call_decorators(self, decorators: list[ast.expr]) -> None:
        for decorator in reversed(decorators):
            if chain := chain_of(decorator):
                self._out.append(p.Use(decorator.lineno, f"@{'.'.join(chain)}", chain, call=True))

    def _class(self, node: ast.ClassDef) -> None:
        self._use(*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords))
        own = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        initialiser = self._function_of(own[-1]) if own and not own[-1].decorator_list else None
        followed = not node.decorator_list and not node.keywords
        outer, self._class_name = self._class_name, node.name
        block = self.block(node.body)
        self._class_name = outer
        self._out.append(p.DefineClass(node.name, block, initialiser, followed))
        self._call_decorators(node.decorator_list)

    def _branch(self, node: ast.If) -> None:
        outcome = self._conditions.decide(node.test)
        if outcome is None:
            self._use(node.test)
            body, otherwise = self.block(node.body), self.block(node.orelse)
            names = tuple(sorted(binds(body) | binds(otherwise)))
            self._out.append(p.Branch(node.test, body, otherwise, names, guess=True))
        else:
            for item in node.body if outcome else node.orelse:
                self._statement(item)

    def _either(self, bodies: Sequence[Sequence[ast.stmt]]) -> None:
        blocks = tuple(self.block(body) for body in bodies)
        self._out.append(p.Either(blocks, tuple(sorted({name for block in blocks for name in binds(block)}))))

    def _attempt(self, node: ast.Try | ast.TryStar) -> None:
        handlers = []
        for item in node.handlers:
            body = self.block(item.body)
            handlers.append(p.Handler(_caught(item.type), item.name, body))
        body = self.block(node.body)
        otherwise, final = self.block(node.orelse), self.block(node.finalbody)
        self._out.append(p.Attempt(body, tuple(handlers), otherwise, final, tuple(sorted(binds(body + otherwise)))))

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self._use(item.context_expr)
            self._bind([item.optional_vars])
        calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
        suppressed = [call for call in calls if _is_suppress(call)]
        if suppressed:
            types = frozenset().union(*(_caught(ast.Tuple(call.args, ast.Load())) or () for call in suppressed))
            body = self.block(node.body)
            self._out.append(p.Attempt(body, (p.Handler(types, None, ()),), (), (), tuple(sorted(binds(body)))))
        else:
            for statement in node.body:
                self._statement(statement)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        if isinstance(node, ast.While):
            certain = self._conditions.decide(node.test)
            self._use(node.test)
        else:
            self._use(node.iter)
            certain = True if holds_something(node.iter) else None
        if certain is False:
            return
        before = [] if isinstance(node, ast.While) else [_unknown([node.target])]
        body = self.block([*before, *node.body])
        if certain and not _has_jumps(node.body):
            self._out += body
            self._out.append(p.Forget(tuple(sorted(binds(body)))))  # it may run again
        else:
            self._either([[*before, *node.body], node.orelse])

    def _leave(self, node: ast.Return | ast.Raise) -> None:
        if isinstance(node, ast.Return):
            self._use(node.value)
            self._out.append(p.Leave(None))
            return
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        chain = chain_of(raised) if raised is not None else ()
        self._out.append(p.Leave(chain[-1] if chain else ""))


def binds(block: p.Block) -> set[str]:
    """Return the names that a block binds in its own scope."""
    names: set[str] = set()
    for item in block:
        if isinstance(item, p.ImportModule):
            names.add(item.alias or item.name.partition(".")[0])
        elif isinstance(item, p.ImportNames):
            names |= {bound for name, bound in item.names if name != "*"}
        elif isinstance(item, p.Bind):
            names |= set(item.names)
        elif isinstance(item, p.Alias | p.Assign | p.Define | p.DefineClass):
            names.add(item.name)
        elif isinstance(item, p.ExtendAll):
            names.add("__all__")
        elif isinstance(item, p.Either | p.Branch | p.Attempt):
            names |= set(item.binds)
    return names


def _caught(node: ast.expr | None) -> frozenset[str] | None:
    if node is None:
        return None
    types = node.elts if isinstance(node, ast.Tuple) else [node]
    return frozenset(chain[-1] for item in types if (chain := chain_of(item)))


def _is_suppress(node: ast.Call) -> bool:
    return chain_of(node.func)[-1:] == ("suppress",) and bool(node.args)


def _obscures(node: ast.stmt) -> bool:
    for item in walk(node):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id in _OBSCURING:
            return True
        if isinstance(item, ast.Attribute) and item.attr == "modules" and chain_of(item) == ("sys", "modules"):
            return True
        if isinstance(item, ast.Lambda):
            break
    return False


def _has_jumps(body: Iterable[ast.stmt]) -> bool:
    """Say whether a loop may be left, or begun anew, from within."""
    pending: list[ast.AST] = list(body)
    while pending:
        item = pending.pop()
        if isinstance(item, ast.Break | ast.Continue):
            return True
        if not isinstance(item, ast.For | ast.While | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            pending.extend(children(item))
    return False


def _loads_in_target(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, ast.Attribute | ast.Subscript):
        return [target.value, target.slice] if isinstance(target, ast.Subscript) else [target.value]
    return []


def _pattern_binds(case: ast.match_case) -> list[ast.stmt]:
    names = [item.name for item in walk(case.pattern) if isinstance(item, ast.MatchAs | ast.MatchStar) and item.name]
    targets: list[ast.expr] = [ast.Name(name, ast.Store(), lineno=1) for name in names]
    return [_unknown(targets)] if targets else []


def _unknown(targets: list[ast.expr]) -> ast.stmt:
    return ast.Assign(targets, ast.Constant(...), lineno=targets[0].lineno)


def _first_line(node: ast.stmt) -> str:
    return ast.unparse(node).partition("\n")[0]
