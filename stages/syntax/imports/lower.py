"""Decides what a module's statements do to its initialisation: a syntax tree becomes a short program."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.walking import children, walk
from stages.syntax.imports import program as p
from stages.syntax.imports.conditions import literal_constants
from stages.syntax.imports.expressions import Expressions, chain_of
from stages.syntax.imports.statements import CATCHES_IMPORT_ERROR, import_text
from stages.syntax.names.scopes import mangled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages.syntax.imports.conditions import Conditions

_OBSCURING = frozenset({"globals", "vars", "locals", "exec", "setattr"})
_SUSPENDED = (ast.Yield, ast.YieldFrom, ast.Await)


def lower_module(tree: ast.Module, conditions: Conditions) -> p.Block:
    """Return the program of a module as it runs on import."""
    known = replace(conditions, constants=literal_constants(tree.body))
    return _Lowering(known, postponed=is_postponed(tree, conditions), function=None).block(tree.body)


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
        function.locals = _locals(function.node) - function.globals
        if _is_suspended(function.node):
            function.block = ()
            return function.block
        function.block = _Lowering(conditions, postponed=function.postponed, function=function).block(
            function.node.body
        )
    return function.block


def _locals(node: ast.FunctionDef) -> frozenset[str]:
    arguments = node.args
    names = {item.arg for item in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
    names |= {item.arg for item in (arguments.vararg, arguments.kwarg) if item}
    for item in walk(node):
        if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load):
            names.add(item.id)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and item is not node:
            names.add(item.name)
        elif isinstance(item, ast.alias):
            names.add(item.asname or item.name.partition(".")[0])
        elif isinstance(item, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and item.name:
            names.add(item.name)
        elif isinstance(item, ast.arg):
            names.add(item.arg)  # of an inner function: a miss does no harm
    return frozenset(names)


class _Lowering:
    def __init__(self, conditions: Conditions, *, postponed: bool, function: p.Function | None) -> None:
        self._conditions = conditions
        self._expressions = Expressions(conditions)
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
            self._out.append(p.Delete(tuple(item.id for item in node.targets if isinstance(item, ast.Name))))
        else:
            self._simple(node)

    def _use(self, *nodes: ast.expr | None) -> None:
        self._out += self._expressions.uses(node for node in nodes if node is not None)

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
            self._out.append(p.ExtendAll(_literal_names(value), fresh=True))
            return
        chain = chain_of(value)
        for target in targets:
            if isinstance(target, ast.Name) and chain:
                self._out.append(p.Alias(target.id, chain, node.lineno, _first_line(node)))
            else:
                if not isinstance(target, ast.Name):
                    self._use(*_loads_in_target(target))
                self._bind([target])

    def _augmented(self, node: ast.AugAssign) -> None:
        self._use(node.value)
        if isinstance(node.target, ast.Name) and node.target.id == "__all__":
            self._out.append(p.ExtendAll(_literal_names(node.value), fresh=False))
        elif isinstance(node.target, ast.Name):
            self._out.append(p.Use(node.lineno, _first_line(node), (node.target.id,), call=False))
        else:
            self._use(*_loads_in_target(node.target))

    def _append_to_all(self, node: ast.stmt) -> None:
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and chain_of(call.func)[:1] == ("__all__",):
            literal = _literal_names(call.args[0]) if len(call.args) == 1 else None
            if chain_of(call.func) == ("__all__", "append") and isinstance(call.args[0], ast.Constant):
                literal = (str(call.args[0].value),)
            self._out.append(p.ExtendAll(literal, fresh=False))

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
            self._out.append(p.Define(node.name, p.Function(node, self._postponed)))

    def _call_decorators(self, decorators: list[ast.expr]) -> None:
        for decorator in reversed(decorators):
            if chain := chain_of(decorator):
                self._out.append(p.Use(decorator.lineno, f"@{'.'.join(chain)}", chain, call=True))

    def _class(self, node: ast.ClassDef) -> None:
        self._use(*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords))
        own = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        initialiser = p.Function(own[-1], self._postponed) if own and not own[-1].decorator_list else None
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
            self._either([node.body, node.orelse])
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
            certain = True if isinstance(node.iter, ast.List | ast.Tuple) and node.iter.elts else None
        if certain is False:
            return
        before = (
            [] if isinstance(node, ast.While) else [ast.Assign([node.target], ast.Constant(None), lineno=node.lineno)]
        )
        if certain:
            for item in [*before, *node.body]:
                self._statement(item)
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
        elif isinstance(item, p.Alias | p.Define | p.DefineClass):
            names.add(item.name)
        elif isinstance(item, p.ExtendAll):
            names.add("__all__")
        elif isinstance(item, p.Either | p.Attempt):
            names |= set(item.binds)
    return names


def _caught(node: ast.expr | None) -> frozenset[str] | None:
    if node is None:
        return None
    types = node.elts if isinstance(node, ast.Tuple) else [node]
    return frozenset(chain[-1] for item in types if (chain := chain_of(item)))


def _is_suppress(node: ast.Call) -> bool:
    if chain_of(node.func)[-1:] != ("suppress",):
        return False
    return any(
        chain_of(item)[-1:] and chain_of(item)[-1] in CATCHES_IMPORT_ERROR | {"AttributeError"} for item in node.args
    )


def _is_suspended(node: ast.FunctionDef) -> bool:
    """Say whether calling the function runs nothing, because it is a generator."""
    stack: list[ast.AST] = list(node.body)
    while stack:
        item = stack.pop()
        if isinstance(item, _SUSPENDED):
            return True
        if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(children(item))
    return False


def _obscures(node: ast.stmt) -> bool:
    for item in walk(node):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id in _OBSCURING:
            return True
        if isinstance(item, ast.Attribute) and item.attr == "modules" and chain_of(item) == ("sys", "modules"):
            return True
        if isinstance(item, ast.Lambda):
            break
    return False


def _literal_names(value: ast.expr) -> tuple[str, ...] | None:
    if not isinstance(value, ast.List | ast.Tuple | ast.Set):
        return None
    names = [item.value for item in value.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return tuple(names) if len(names) == len(value.elts) else None


def _loads_in_target(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, ast.Attribute | ast.Subscript):
        return [target.value, target.slice] if isinstance(target, ast.Subscript) else [target.value]
    return []


def _pattern_binds(case: ast.match_case) -> list[ast.stmt]:
    names = [item.name for item in walk(case.pattern) if isinstance(item, ast.MatchAs | ast.MatchStar) and item.name]
    targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names]
    return [ast.Assign(targets, ast.Constant(None), lineno=1)] if targets else []


def _first_line(node: ast.stmt) -> str:
    return ast.unparse(node).partition("\n")[0]
