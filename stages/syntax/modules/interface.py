"""Decides what is shown of a module's contracts: its classes, fields, functions, and what it depends on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages.syntax.inventory.fields import fields_of
from stages.syntax.inventory.signatures import signature_of
from stages.syntax.inventory.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from stages._source.program.project import Module, Project
    from verifier.api import Json

_GROUPS = ("standard library", "third-party", "project")


def interface(project: Project, module: Module, imports: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """Return what others may use of a module, in source order, private names included: they are contracts inside."""
    nodes = list(_definitions(module.tree.body))
    classes: list[Json] = [_class(project, module, node) for node in nodes if isinstance(node, ast.ClassDef)]
    functions: list[Json] = [_function(node) for node in nodes if isinstance(node, Function)]
    return {"classes": classes, "functions": functions, "dependencies": _dependencies(imports)}


def _definitions(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            handlers = [item for handler in getattr(node, "handlers", []) for item in handler.body]
            yield from _definitions([*node.body, *handlers, *node.orelse])


def _class(project: Project, module: Module, node: ast.ClassDef) -> dict[str, Json]:
    methods: list[Json] = [
        _function(item, method=True) for item in _definitions(node.body) if isinstance(item, Function)
    ]
    scope = module.scopes.scopes[node]
    fields: list[Json] = [
        {"name": name, "type": text_of(item.annotation), "default": text_of(default) or None, "line": item.lineno}
        for item, name, default in fields_of(project, scope)
    ]
    return {
        "name": node.name,
        "line": node.lineno,
        "end_line": node.end_lineno or node.lineno,
        "bases": [text_of(base) for base in node.bases],
        "decorators": [text_of(item) for item in node.decorator_list],
        "docstring": _first_line(node),
        "fields": [*fields, *_members(node), *_attributes(node, {name for _, name, _ in fields_of(project, scope)})],
        "methods": methods,
    }


def _members(node: ast.ClassDef) -> list[Json]:
    """Return what the body of a class binds without an annotation: members of an enumeration, class variables."""
    return [
        {"name": target.id, "type": None, "default": text_of(item.value), "line": item.lineno}
        for item in node.body
        if isinstance(item, ast.Assign)
        for target in item.targets
        if isinstance(target, ast.Name) and target.id != "__slots__"
    ]


def _attributes(node: ast.ClassDef, known: set[str]) -> list[Json]:
    """Return what `__init__` binds on the instance, each name once, with its annotation and the value it is given."""
    made_by = next((item for item in node.body if isinstance(item, Function) and item.name == "__init__"), None)
    if made_by is None or not made_by.args.args:
        return []
    own = made_by.args.args[0].arg
    types = {argument.arg: argument.annotation for argument in (*made_by.args.args, *made_by.args.kwonlyargs)}
    found: list[Json] = []
    for item in sorted(own_nodes(made_by.body), key=lambda item: getattr(item, "lineno", 0)):
        match item:
            case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id=name), attr=attribute), value=value):
                annotation: ast.expr | None = item.annotation
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name), attr=attribute)], value=value):
                annotation = types.get(value.id) if isinstance(value, ast.Name) else None
            case _:
                continue
        if name == own and attribute not in known:
            known.add(attribute)
            shown = text_of(annotation) if annotation is not None else None
            found.append({"name": attribute, "type": shown, "default": text_of(value) or None, "line": item.lineno})
    return found


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, *, method: bool = False) -> dict[str, Json]:
    static = any(last_name(item) == "staticmethod" for item in node.decorator_list)
    return {
        "name": node.name,
        "line": node.lineno,
        "end_line": node.end_lineno or node.lineno,
        "signature": signature_of(node, drop_first=method and not static),
        "returns": text_of(node.returns) if node.returns is not None else None,
        "is_async": isinstance(node, ast.AsyncFunctionDef),
        "decorators": [text_of(item) for item in node.decorator_list],
        "docstring": _first_line(node),
    }


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str | None:
    text = ast.get_docstring(node)
    return text.strip().split("\n", 1)[0] if text and text.strip() else None


def _dependencies(imports: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """Return the modules that are imported, by where they come from; `lazy` ones only inside functions."""
    found: dict[str, Json] = {}
    for group in _GROUPS:
        rows = [row for row in imports if row["group"] == group]
        names = sorted({row["module"] for row in rows})
        found[group] = [
            {
                "module": name,
                "lines": sorted({row["line"] for row in rows if row["module"] == name}),
                "kinds": sorted({row["kind"] for row in rows if row["module"] == name}),
                "resolved": all(row["resolved"] for row in rows if row["module"] == name),
            }
            for name in names
        ]
    return found
