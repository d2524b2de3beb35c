"""Decides what a file offers to others: its public functions, classes and methods, and what they return."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, parameters
from stages.syntax.inventory.fields import fields_of, is_made_from_fields
from stages.syntax.inventory.returned_keys import returned_keys
from stages.syntax.inventory.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope
    from verifier.api import Json


def signatures(project: Project, module: Module) -> list[Json]:
    """Return one row for each definition others can use: `__all__` decides, else names without an underscore."""
    exported = exported_names(module)
    found: list[Json] = []
    for node in _definitions(module.tree.body):
        if node.name not in exported if exported is not None else node.name.startswith("_"):
            continue
        scope = module.scopes.scopes[node]
        if isinstance(node, ast.ClassDef):
            found += _of_class(project, module, node, scope)
        else:
            found.append(_of_function(project, module, node, scope, node.name))
    return found


def exported_names(module: Module) -> frozenset[str] | None:
    """Return what a literal `__all__` lists, every addition included; None where the file has none we can read."""
    names: set[str] = set()
    seen = False
    for node in module.tree.body:
        value = _all_part(node)
        if value is None:
            continue
        if not isinstance(value, ast.List | ast.Tuple | ast.Set):
            return None
        seen = True
        names |= {item.value for item in value.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return frozenset(names) if seen else None


def _all_part(node: ast.stmt) -> ast.expr | None:
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
            return value
        case ast.AnnAssign(target=ast.Name(id="__all__"), value=value):
            return value
        case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
            return value
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="__all__"), attr="extend"), args=[value])):
            return value
    return None


def _definitions(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Yield definitions at module or class level, also those behind `if` and `try`; the last of a name counts."""
    last: dict[str, Function | ast.ClassDef] = {}
    stack = list(reversed(body))
    while stack:
        node = stack.pop()
        if isinstance(node, Function | ast.ClassDef):
            if not (isinstance(node, Function) and _is_accessor(node)):
                last[node.name] = node
        elif isinstance(node, ast.If | ast.Try | ast.TryStar | ast.With | ast.For | ast.While):
            parts = [*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
            handlers = [part for handler in getattr(node, "handlers", []) for part in handler.body]
            stack.extend(reversed([*parts, *handlers]))
    yield from sorted(last.values(), key=lambda node: node.lineno)


def _of_function(project: Project, module: Module, node: Function, scope: Scope, name: str) -> Json:
    keys = returned_keys(project, scope)
    return {
        "path": module.path,
        "line": node.lineno,
        "name": name,
        "signature": "" if _is_property(node) else signature_of(node, drop_first="." in name and not _is_static(node)),
        "returns": text_of(node.returns) if node.returns is not None else None,
        "returned_keys": list(keys) if keys is not None else None,
    }


def _of_class(project: Project, module: Module, node: ast.ClassDef, scope: Scope) -> Iterator[Json]:
    methods = list(_definitions(node.body))
    made_by = next((item for item in methods if isinstance(item, Function) and item.name == "__init__"), None)
    signature = "()" if made_by is None else signature_of(made_by, drop_first=True)
    if made_by is None and is_made_from_fields(project, scope):
        made_from = [_written(name, item.annotation, item.value) for item, name, _ in fields_of(project, scope)]
        signature = f"({', '.join(made_from)})"
    yield {
        "path": module.path,
        "line": node.lineno,
        "name": node.name,
        "signature": signature,
        "returns": None,
        "returned_keys": None,
    }
    for method in methods:
        if isinstance(method, Function) and not method.name.startswith("_"):
            yield _of_function(project, module, method, module.scopes.scopes[method], f"{node.name}.{method.name}")


def signature_of(node: Function, *, drop_first: bool) -> str:
    """Return the parameters as PEP 8 writes them, `self` left out of methods."""
    first_keyword = node.args.kwonlyargs[0] if node.args.kwonlyargs else None
    first = next(iter([*node.args.posonlyargs, *node.args.args]), None)
    parts: list[str] = []
    for argument, default in parameters(node):
        if argument is first and drop_first:
            continue
        if argument is first_keyword and node.args.vararg is None:
            parts.append("*")
        stars = "*" if argument is node.args.vararg else "**" if argument is node.args.kwarg else ""
        parts.append(stars + _written(argument.arg, argument.annotation, default))
        if node.args.posonlyargs and argument is node.args.posonlyargs[-1]:
            parts.append("/")
    return f"({', '.join(parts)})"


def _written(name: str, annotation: ast.expr | None, default: ast.expr | None) -> str:
    if annotation is None:
        return name if default is None else f"{name}={text_of(default)}"
    return f"{name}: {text_of(annotation)}" + ("" if default is None else f" = {text_of(default)}")


def _is_static(node: Function) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)


def _is_property(node: Function) -> bool:
    return any(last_name(item) in ("property", "cached_property") for item in node.decorator_list)


def _is_accessor(node: Function) -> bool:
    """Tell accessors: a property's setter or deleter adds nothing to what the property says."""
    return any(isinstance(item, ast.Attribute) and item.attr in ("setter", "deleter") for item in node.decorator_list)
