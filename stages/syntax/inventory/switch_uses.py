"""Decides what becomes of a switch: where it is read and for what, where it is copied, to whom it is passed."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.origins import functions, instances, lineage, origins
from stages._source.program.scopes import self_class
from stages.syntax.inventory.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope

_BUILTINS = frozenset(
    ["bool", "str", "repr", "print", "len", "isinstance", "int", "float", "format", "any", "all", "dict"]
)
_CASTS = frozenset(["bool", "str", "int"])


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """One place where the switch is read; `through` is the copy that is read there, if it is one.

    `presence`: only whether the copy is None follows the switch, as of `scaler = GradScaler() if use_amp else None`.
    """

    module: Module
    node: ast.Name | ast.Attribute
    scope: Scope
    through: str = ""
    presence: bool = False


@dataclass(slots=True)
class Trace:
    """What became of one switch. Lines are those of its own file; elsewhere the text names the file."""

    path: str
    uses: set[tuple[int, str]] = field(default_factory=set)
    passed: set[tuple[int, str]] = field(default_factory=set)

    def use(self, load: Load, how: str) -> None:
        self.uses.add((load.node.lineno, how + self._suffix(load)))

    def pass_on(self, load: Load, function: str) -> None:
        self.passed.add((load.node.lineno, function + self._suffix(load)))

    def _suffix(self, load: Load) -> str:
        through = f" through {load.through}" if load.through else ""
        return through if load.module.path == self.path else f"{through} in {load.module.path}"


def variable_loads(module: Module, name: str, owner: Scope, through: str = "") -> list[Load]:
    """Return every place where this very variable is read, closures included."""
    return [
        Load(module, seen.node, seen.scope, through)
        for seen in module.scopes.loads
        if isinstance(seen.node, ast.Name) and seen.node.id == name and seen.scope.owner_of(name) is owner
    ]


def attribute_loads(project: Project, name: str, cls: Scope, through: str = "") -> list[Load]:
    """Return every place in the task where this attribute of an instance of `cls` is read."""
    found = []
    for module in project.modules:
        for seen in module.scopes.loads:
            node = seen.node
            if not isinstance(node, ast.Attribute) or node.attr != name:
                continue
            if any(cls in lineage(project, item) for item in instances(project, node.value, seen.scope)):
                shown = through or text_of(node)
                found.append(Load(module, node, seen.scope, shown))
    return found


def follow(project: Project, start: Sequence[Load], trace: Trace) -> None:
    """Follow a switch through plain copies: into local names and into attributes of instances."""
    pending = list(start)
    done: set[tuple[str, Scope]] = set()
    while pending:
        load = pending.pop()
        if load.presence and not _asks_for_presence(load):
            continue
        target = _classify(project, load, trace)
        presence = load.presence
        if target is None and (target := _present_only_with(load)) is not None:
            presence = True
        pending += [replace(copy, presence=presence) for copy in _copies(project, load, target, done)]


def _copies(project: Project, load: Load, target: ast.expr | None, done: set[tuple[str, Scope]]) -> list[Load]:
    if isinstance(target, ast.Name):
        owner = load.scope.owner_of(target.id)
        if owner is not None and (target.id, owner) not in done:
            done.add((target.id, owner))
            return variable_loads(load.module, target.id, owner, target.id)
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        cls = self_class(load.scope, target.value.id)
        if cls is not None and (target.attr, cls) not in done:
            done.add((target.attr, cls))
            return attribute_loads(project, target.attr, cls)
    return []


def _present_only_with(load: Load) -> ast.expr | None:
    """Return the target of `target = value if switch else None`: whether it is None is the switch again."""
    parents = load.module.scopes.parents
    child: ast.AST = load.node
    parent = parents.get(child)
    while isinstance(parent, ast.BoolOp):
        child, parent = parent, parents.get(parent)
    if not isinstance(parent, ast.IfExp) or parent.test is not child or not _is_none(parent.orelse):
        return None
    match parents.get(parent):
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return target
    return None


def _asks_for_presence(load: Load) -> bool:
    parent = load.module.scopes.parents.get(load.node)
    if isinstance(parent, ast.Compare):
        return any(_is_none(part) for part in parent.comparators)
    tested = parent.test if isinstance(parent, ast.If | ast.IfExp | ast.While) else None
    return tested is load.node or isinstance(parent, ast.BoolOp | ast.UnaryOp)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _classify(project: Project, load: Load, trace: Trace) -> ast.expr | None:
    """Note what one reading is for; return where the value is copied to, if it is."""
    child: ast.AST = load.node
    parent = load.module.scopes.parents.get(child)
    while parent is not None:
        match parent:
            case ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.Compare() | ast.keyword() | ast.Starred():
                pass
            case ast.IfExp(test=test) if test is not child:
                pass
            case ast.Call(func=ast.Name(id=name), args=[_]) if name in _CASTS:
                pass
            case ast.Call(func=func) if func is not child:
                _note_call(project, parent, load, trace)
                return None
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                attribute = isinstance(target, ast.Attribute)
                trace.use(load, f"{'stored as' if attribute else 'assigned to'} {text_of(target)}")
                return target
            case _:
                trace.use(load, _how(project, load, parent, child))
                return None
        child, parent = parent, load.module.scopes.parents.get(parent)
    return None


def _how(project: Project, load: Load, parent: ast.AST, child: ast.AST) -> str:
    match parent:
        case ast.If(test=test, body=body, orelse=orelse) if test is child:
            return _decides(project, load, [*body, *orelse])
        case ast.IfExp(test=test, body=chosen, orelse=other) if test is child:
            return _decides(project, load, [chosen, other])
        case ast.While() | ast.Assert():
            return "decides whether to go on"
        case ast.Return():
            return "returned"
        case ast.Dict(keys=keys, values=values):
            named = [text_of(key) for key, value in zip(keys, values, strict=True) if value is child]
            return f"recorded under {named[0]}" if named and named[0] else "recorded"
        case ast.FormattedValue() | ast.JoinedStr():
            return "put into text"
        case ast.match_case() | ast.Match():
            return "decides a branch"
        case ast.Subscript():
            return "used as a key"
    return "read"


def _decides(project: Project, load: Load, parts: Iterable[ast.AST]) -> str:
    found: set[str] = set()
    inside = {node for part in parts for node in ast.walk(part)}
    for seen in load.module.scopes.calls:
        if seen.node in inside and isinstance(seen.node, ast.Call):
            called = origins(project, seen.node.func, seen.scope)
            if vocabulary.names_autocast(called):
                found.add("autocast")
            if vocabulary.names_scaler(called):
                found.add("the scaler")
    return f"decides about {' and '.join(sorted(found))}" if found else "decides a branch"


def _note_call(project: Project, call: ast.Call, load: Load, trace: Trace) -> None:
    called = origins(project, call.func, load.scope)
    if vocabulary.names_autocast(called):
        trace.use(load, "argument of autocast")
    elif vocabulary.names_scaler(called):
        trace.use(load, "argument of the scaler")
    elif called & _BUILTINS:
        trace.use(load, "read")
    else:
        known = functions(project, call.func, load.scope)
        trace.pass_on(load, f"{known[0].module}.{known[0].label}" if known else text_of(call.func))
