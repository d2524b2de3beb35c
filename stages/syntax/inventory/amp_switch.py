"""Decides how the AMP switch is threaded: which parameters carry it, where each is read, and to whom it is passed."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages.syntax.inventory import vocabulary
from stages.syntax.inventory.origins import functions, origins
from stages.syntax.inventory.scopes import Function, parameters, self_class
from stages.syntax.inventory.text import literal, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.syntax.inventory.project import Module, Project
    from stages.syntax.inventory.scopes import Scope
    from verifier.api import Json

_SWITCH = re.compile(
    r"(?:use|enable|with|is|do|native|apply|torch)_(?:amp|autocast|fp16|bf16|mixed_precision|half_precision)"
    r"|(?:amp|autocast|fp16|bf16|mixed_precision)_(?:enabled|mode|dtype|precision)"
    r"|(?:no|disable)_(?:amp|autocast)|mixed_precision|fp16|bf16|requested_precision|amp_config"
)
_AMBIGUOUS = frozenset(["amp", "precision"])  # an amplitude, a metric's precision: only evidence decides
_PRECISIONS = re.compile(r"(?:bf|fp|float)?(?:16|32|64)(?:-(?:mixed|true))?|bfloat16|half")
_BUILTINS = frozenset(
    ["bool", "str", "repr", "print", "len", "isinstance", "int", "float", "format", "any", "all", "dict"]
)


@dataclass(slots=True)
class Trace:
    """What became of one parameter."""

    uses: dict[tuple[int, str], None] = field(default_factory=dict)
    passed: dict[tuple[int, str], None] = field(default_factory=dict)


def amp_switch(project: Project, module: Module) -> list[Json]:
    """Return one row per parameter that switches mixed precision, in source order."""
    rows: list[Json] = []
    for node, scope in sorted(_function_scopes(module), key=lambda item: item[0].lineno):
        for argument, default in parameters(node):
            if not _carries_switch(project, module, argument, default, scope):
                continue
            trace = Trace()
            _follow(project, module, argument.arg, scope, trace)
            rows.append(
                {
                    "path": module.path,
                    "line": argument.lineno,
                    "function": scope.label,
                    "parameter": argument.arg,
                    "default": text_of(default) if default is not None else None,
                    "public": _is_public(scope),
                    "uses": [{"line": line, "how": how} for line, how in sorted(trace.uses)],
                    "passed_to": [{"line": line, "function": name} for line, name in sorted(trace.passed)],
                }
            )
    return rows


def _function_scopes(module: Module) -> Iterator[tuple[Function, Scope]]:
    for node, scope in module.scopes.scopes.items():
        if isinstance(node, Function):
            yield node, scope


def _is_public(scope: Scope) -> bool:
    """Reachable by name from outside: no private part, and not inside another function."""
    outer = scope.parent
    while outer is not None and outer.parent is not None:
        if not isinstance(outer.node, ast.ClassDef):
            return False
        outer = outer.parent
    return all(
        not part.startswith("_") or (part.startswith("__") and part.endswith("__"))
        for part in scope.qualname.split(".")
    )


def _carries_switch(
    project: Project, module: Module, argument: ast.arg, default: ast.expr | None, scope: Scope
) -> bool:
    if _SWITCH.fullmatch(argument.arg):
        return True
    if argument.arg not in _AMBIGUOUS:
        return False
    annotated = text_of(argument.annotation).strip("'\"")
    if argument.arg == "amp":
        return annotated.startswith(("bool", "Optional[bool")) or isinstance(literal(default), bool)
    return (
        _speaks_of_precision(default)
        or _speaks_of_precision(argument.annotation)
        or _compared_as_precision(module, argument.arg, scope)
        or _sets_framework(project, module, argument.arg, scope)
    )


def _speaks_of_precision(node: ast.expr | None) -> bool:
    if node is None:
        return False
    values = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return any(isinstance(value, str) and _PRECISIONS.fullmatch(value) for value in values)


def _compared_as_precision(module: Module, name: str, scope: Scope) -> bool:
    for node, read_in in _loads(module, name, scope):
        parent = module.scopes.parents.get(node)
        if (
            read_in is not None
            and isinstance(parent, ast.Compare)
            and any(_speaks_of_precision(part) for part in parent.comparators)
        ):
            return True
    return False


def _sets_framework(project: Project, module: Module, name: str, scope: Scope) -> bool:
    for node, read_in in _loads(module, name, scope):
        keyword = module.scopes.parents.get(node)
        call = module.scopes.parents.get(keyword) if isinstance(keyword, ast.keyword) else None
        if isinstance(call, ast.Call) and vocabulary.precision_arguments(origins(project, call.func, read_in)):
            return True
    return False


def _loads(module: Module, name: str, owner: Scope) -> Iterator[tuple[ast.expr, Scope]]:
    """Yield every place where this very variable is read, closures included."""
    for seen in module.scopes.loads:
        if isinstance(seen.node, ast.Name) and seen.node.id == name and seen.scope.owner_of(name) is owner:
            yield seen.node, seen.scope


def _attribute_loads(module: Module, name: str, cls: Scope) -> Iterator[tuple[ast.expr, Scope]]:
    for seen in module.scopes.loads:
        node = seen.node
        if (
            isinstance(node, ast.Attribute)
            and node.attr == name
            and isinstance(node.value, ast.Name)
            and self_class(seen.scope, node.value.id) is cls
        ):
            yield node, seen.scope


def _follow(project: Project, module: Module, name: str, scope: Scope, trace: Trace) -> None:
    """Follow a parameter through plain copies: into local names and into attributes of `self`."""
    pending = [(name, node, read_in) for node, read_in in _loads(module, name, scope)]
    done: set[tuple[str, Scope]] = {(name, scope)}
    while pending:
        through, node, read_in = pending.pop()
        target = _classify(project, module, node, read_in, trace, "" if through == name else f" through {through}")
        copies: list[tuple[str, ast.expr, Scope]] = []
        if isinstance(target, ast.Name):
            owner = read_in.owner_of(target.id)
            if owner is not None and (target.id, owner) not in done:
                done.add((target.id, owner))
                copies = [(target.id, *load) for load in _loads(module, target.id, owner)]
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            cls = self_class(read_in, target.value.id)
            if cls is not None and (target.attr, cls) not in done:
                done.add((target.attr, cls))
                label = f"{target.value.id}.{target.attr}"
                copies = [(label, *load) for load in _attribute_loads(module, target.attr, cls)]
        pending += copies


def _classify(
    project: Project, module: Module, node: ast.expr, scope: Scope, trace: Trace, suffix: str
) -> ast.expr | None:
    """Note what one reading is for; return where the value is copied to, if it is."""
    line = node.lineno
    child: ast.AST = node
    parent = module.scopes.parents.get(node)
    while parent is not None:
        match parent:
            case ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.Compare() | ast.keyword() | ast.Starred():
                pass
            case ast.IfExp(test=test) if test is not child:
                pass
            case ast.Call(func=func) if func is not child:
                if text_of(func) in ("bool", "str", "int"):
                    pass
                else:
                    _note_call(project, parent, scope, trace, (line, suffix))
                    return None
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                trace.uses[line, f"{_stored(target)}{suffix}"] = None
                return target
            case _:
                trace.uses[line, f"{_how(project, module, parent, child, scope)}{suffix}"] = None
                return None
        child, parent = parent, module.scopes.parents.get(parent)
    return None


def _stored(target: ast.expr) -> str:
    return f"stored as {text_of(target)}" if isinstance(target, ast.Attribute) else f"assigned to {text_of(target)}"


def _how(project: Project, module: Module, parent: ast.AST, child: ast.AST, scope: Scope) -> str:
    match parent:
        case ast.If(test=test, body=body) if test is child:
            return _decides(project, module, [*body, *parent.orelse], scope)
        case ast.IfExp(test=test, body=chosen, orelse=other) if test is child:
            return _decides(project, module, [chosen, other], scope)
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


def _decides(project: Project, module: Module, parts: list[ast.AST], scope: Scope) -> str:
    found: set[str] = set()
    inside = {node for part in parts for node in ast.walk(part)}
    for seen in module.scopes.calls:
        if seen.node in inside and isinstance(seen.node, ast.Call):
            called = origins(project, seen.node.func, seen.scope)
            if vocabulary.names_autocast(called):
                found.add("autocast")
            if vocabulary.names_scaler(called):
                found.add("the scaler")
    return f"decides about {' and '.join(sorted(found))}" if found else "decides a branch"


def _note_call(project: Project, call: ast.Call, scope: Scope, trace: Trace, place: tuple[int, str]) -> None:
    line, suffix = place
    called = origins(project, call.func, scope)
    if vocabulary.names_autocast(called):
        trace.uses[line, f"argument of autocast{suffix}"] = None
    elif vocabulary.names_scaler(called):
        trace.uses[line, f"argument of the scaler{suffix}"] = None
    elif called & _BUILTINS:
        trace.uses[line, f"read{suffix}"] = None
    else:
        known = functions(project, call.func, scope)
        name = f"{known[0].module}.{known[0].label}" if known else text_of(call.func)
        trace.passed[line, f"{name}{suffix}"] = None
