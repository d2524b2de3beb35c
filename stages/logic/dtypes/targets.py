"""Decides which code of the project a call runs, modules that were passed to a function included."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.program.index import calls_of
from stages._source.program.kinds import last_name
from stages._source.program.origins import classes, functions, lineage, origins, resolve_bindings
from stages._source.program.scopes import Function, Scope, own_nodes, parameters, self_class
from stages.logic.dtypes.operations import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages._source.program.project import Project
    from stages._source.program.scopes import Binding, Seen

_DEEPEST = 6
_MANY = 3  # that a call may run, beyond which it is not followed
_SELF_RETURNING = words("to cuda cpu train eval float half bfloat16 requires_grad_ compile unwrap_model")
_WRAPPERS = words(
    "DistributedDataParallel DataParallel DDP FSDP FullyShardedDataParallel compile convert_sync_batchnorm"
    " convert_syncbn_model prepare prepare_model setup setup_module deepcopy script"
)
_LISTS = words("ModuleList Sequential ModuleDict")


@dataclass(slots=True)
class Calls:
    """The calls of the files read so far, by the last name of what is called.

    Args:
        passing: whether to look for what calls pass to a function, which asks every call of that name in the project.
    """

    project: Project
    passing: bool = True
    by_name: dict[str, list[Seen]] = field(default_factory=dict)
    known: dict[tuple[ast.expr, Scope], list[Scope]] = field(default_factory=dict)
    running: dict[tuple[ast.Call, Scope], bool] = field(default_factory=dict)
    yielding: dict[ast.AST, bool] = field(default_factory=dict)

    def is_generator(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Say whether a call gives something that yields, not what the function returns."""
        if function not in self.yielding:
            self.yielding[function] = any(isinstance(part, ast.Yield) for part in own_nodes(function.body))
        return self.yielding[function]

    def of(self, name: str) -> list[Seen]:
        if name not in self.by_name:
            called = _calling(name)
            modules = self.project.modules_where(lambda code: called.search(code) is not None)
            self.by_name[name] = [seen for module in modules for seen in calls_of(module.scopes, name)]
        return self.by_name[name]


def _calling(name: str) -> re.Pattern[bytes]:
    """Return what finds calls of a name; not where it is defined, nor of `super()`, which stands for no class here."""
    word = re.escape(name.encode())
    no = rb"(?<!\w%b)(?<!def %b)(?<!super\(\)\.%b)" % (word, word, word)
    return re.compile(word + no + rb"\s*[(\[]")


def targets(calls: Calls, func: ast.expr, scope: Scope) -> list[tuple[Scope, bool]]:
    """Return the functions that calling `func` runs, each with whether its first parameter is given already."""
    project = calls.project
    found: list[tuple[Scope, bool]] = [(item, _bound(item, func)) for item in functions(project, func, scope)]
    if not found and not classes(project, func, scope):
        for cls in modules_of(calls, func, scope):
            forward = method_of(project, cls, "forward")
            if forward is not None:
                found.append((forward, True))
    found = list(dict.fromkeys(found))
    return found if len(found) <= _MANY else []


def method_of(project: Project, cls: Scope, name: str) -> Scope | None:
    """Return the method that instances of a class have, its own or inherited."""
    for owner in lineage(project, cls):
        for binding in owner.bindings.get(name, ()):
            if binding.how == "function":
                return binding.scope.inner[binding.node]
    return None


def modules_of(calls: Calls, expr: ast.expr, scope: Scope, depth: int = 0) -> list[Scope]:
    """Return the project's classes that an expression may be an instance of, wrappers and containers seen through."""
    if depth > _DEEPEST:
        return []
    key = (expr, scope)
    if key not in calls.known:
        calls.known[key] = []  # what a value that is made of itself adds
        calls.known[key] = _modules_of(calls, expr, scope, depth)
    return calls.known[key]


def _modules_of(calls: Calls, expr: ast.expr, scope: Scope, depth: int) -> list[Scope]:
    project = calls.project
    found: list[Scope] = []
    match expr:
        case ast.Call():
            found += _of_call(calls, expr, scope, depth)
        case ast.Name(id=name) if (cls := self_class(scope, name)) is not None:
            found.append(cls)
        case ast.Name() | ast.Attribute():
            for binding in resolve_bindings(project, expr, scope):
                found += _of_binding(calls, binding, depth)
            if not found and isinstance(expr, ast.Attribute):
                if expr.attr == "module":
                    found += modules_of(calls, expr.value, scope, depth + 1)
                else:
                    for cls in modules_of(calls, expr.value, scope, depth + 1):
                        for binding in _attribute(project, cls, expr.attr):
                            found += _of_binding(calls, binding, depth)
        case ast.Subscript(value=value):
            found += elements_of(calls, value, scope, depth + 1)
        case ast.IfExp(body=body, orelse=orelse):
            found += [*modules_of(calls, body, scope, depth + 1), *modules_of(calls, orelse, scope, depth + 1)]
    return list(dict.fromkeys(found))


def elements_of(calls: Calls, expr: ast.expr, scope: Scope, depth: int = 0) -> list[Scope]:
    """Return the project's classes that are made inside of a list of modules."""
    made: list[tuple[ast.expr, Scope]] = []
    if isinstance(expr, ast.Call) and last_name(expr.func) in ("enumerate", "zip", "reversed", "list"):
        return [item for part in expr.args for item in elements_of(calls, part, scope, depth + 1)]
    if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Attribute) and expr.func.attr in ("items", "values"):
        return elements_of(calls, expr.func.value, scope, depth + 1)
    if isinstance(expr, ast.Name | ast.Attribute) and depth <= _DEEPEST:
        made = [
            (binding.value, binding.scope)
            for binding in resolve_bindings(calls.project, expr, scope)
            if binding.how == "value" and binding.value is not None
        ]
    found: list[Scope] = []
    for value, where in made:
        if isinstance(value, ast.Call) and last_name(value.func) in _LISTS:
            for inner in ast.walk(value):
                if isinstance(inner, ast.Call) and inner is not value:
                    found += classes(calls.project, inner.func, where)
    return list(dict.fromkeys(found))


def _attribute(project: Project, cls: Scope, name: str) -> list[Binding]:
    for owner in lineage(project, cls):
        if name in owner.attributes:
            return owner.attributes[name]
    return []


def _of_call(calls: Calls, call: ast.Call, scope: Scope, depth: int) -> list[Scope]:
    made = classes(calls.project, call.func, scope)
    if made:
        return made
    name = last_name(call.func)
    if name in _SELF_RETURNING and isinstance(call.func, ast.Attribute) and not call.args[1:]:
        found = modules_of(calls, call.func.value, scope, depth + 1)
        if found:
            return found
    if name in _WRAPPERS or name in _SELF_RETURNING:
        return [item for part in call.args[:1] for item in modules_of(calls, part, scope, depth + 1)]
    returned: list[Scope] = []
    for function in functions(calls.project, call.func, scope):
        for value in function.returns:
            returned += modules_of(calls, value, function, depth + 1)
    return returned


def _of_binding(calls: Calls, binding: Binding, depth: int) -> list[Scope]:
    if binding.how == "element" and binding.value is not None:
        listed = elements_of(calls, binding.value, binding.scope, depth + 1)
        return listed or _unpacked(calls, binding, depth)
    if binding.how == "value" and binding.value is not None:
        return modules_of(calls, binding.value, binding.scope, depth + 1)
    if binding.how == "parameter" and calls.passing:
        return _passed(calls, binding, depth)
    return []


def _unpacked(calls: Calls, binding: Binding, depth: int) -> list[Scope]:
    """Follow `model, optimizer = prepare(model, optimizer)`: what comes back is what went in, in the same order."""
    value, target = binding.value, binding.node
    if not isinstance(value, ast.Call) or last_name(value.func) not in _WRAPPERS:
        return []
    same = [item for item in value.args if last_name(item) == last_name(target) != ""]  # type: ignore[arg-type]
    found: list[Scope] = []
    for item in same:
        for other in resolve_bindings(calls.project, item, binding.scope):
            if other.how == "value":
                found += _of_binding(calls, other, depth + 1)
    return found


def _passed(calls: Calls, binding: Binding, depth: int) -> list[Scope]:
    """Return what calls of the function pass for one of its parameters."""
    found: list[Scope] = []
    for function in binding.scope.inner.values():
        node = function.node
        if isinstance(node, Function) and any(argument is binding.node for argument, _ in parameters(node)):
            for value, where in arguments_for(calls, function, binding.node):
                found += modules_of(calls, value, where, depth + 2)
    return found


def arguments_for(calls: Calls, function: Scope, parameter: ast.AST) -> Iterable[tuple[ast.expr, Scope]]:
    """Yield what calls in sight pass for a parameter."""
    node = function.node
    assert isinstance(node, Function)
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    is_method = function.parent is not None and isinstance(function.parent.node, ast.ClassDef)
    wanted = parameter.arg if isinstance(parameter, ast.arg) else ""
    called = node.name
    if node.name == "__init__" and function.parent is not None and isinstance(function.parent.node, ast.ClassDef):
        called = function.parent.node.name
    for seen in calls.of(called):
        call = seen.node
        assert isinstance(call, ast.Call)
        pair = (call, function)
        if pair not in calls.running:
            calls.running[pair] = _runs(calls.project, call, seen.scope, function)
        if not calls.running[pair]:
            continue
        shift = 1 if is_method else 0
        place = names.index(wanted) - shift if wanted in names else -1
        if 0 <= place < len(call.args) and not any(isinstance(item, ast.Starred) for item in call.args):
            yield call.args[place], seen.scope
        for keyword in call.keywords:
            if keyword.arg == wanted:
                yield keyword.value, seen.scope


def _runs(project: Project, call: ast.Call, scope: Scope, function: Scope) -> bool:
    if function in functions(project, call.func, scope):
        return True
    return any(function.parent in lineage(project, cls) for cls in classes(project, call.func, scope))


def _bound(function: Scope, func: ast.expr) -> bool:
    if function.parent is None or not isinstance(function.parent.node, ast.ClassDef):
        return False
    node = function.node
    static = isinstance(node, Function) and any(
        isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list
    )
    return isinstance(func, ast.Attribute) and not static


def is_module(project: Project, cls: Scope) -> bool:
    """Say whether a class of the project is a module of torch."""
    for owner in lineage(project, cls):
        node = owner.node
        if isinstance(node, ast.ClassDef) and owner.parent is not None:
            for base in node.bases:
                if any(name.rpartition(".")[2].endswith("Module") for name in origins(project, base, owner.parent)):
                    return True
    return False
