"""Decides what a class that is made from its fields takes: dataclasses, attrs, named tuples, pydantic models."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.origins import origins

if TYPE_CHECKING:
    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope

_DECORATORS = frozenset(
    ["dataclasses.dataclass", "pydantic.dataclasses.dataclass", "attrs.define", "attrs.frozen", "attr.s"]
)
_BASES = frozenset(["typing.NamedTuple", "pydantic.BaseModel"])
_FIELD = frozenset(["dataclasses.field", "attrs.field", "attr.ib", "pydantic.Field"])


def is_made_from_fields(project: Project, cls: Scope) -> bool:
    node = cls.node
    if cls.parent is None or not isinstance(node, ast.ClassDef):
        return False
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if origins(project, called, cls.parent) & _DECORATORS:
            return True
    return any(origins(project, base, cls.parent) & _BASES for base in node.bases)


def fields_of(project: Project, cls: Scope) -> list[tuple[ast.AnnAssign, str, ast.expr | None]]:
    """Return the fields in order with their defaults; one made by a factory has the factory as its default."""
    if not isinstance(cls.node, ast.ClassDef):
        return []
    return [
        (item, item.target.id, _default(project, item.value, cls))
        for item in cls.node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and not _is_class_variable(item)
    ]


def _default(project: Project, value: ast.expr | None, cls: Scope) -> ast.expr | None:
    if not isinstance(value, ast.Call) or not origins(project, value.func, cls) & _FIELD:
        return value
    given = {keyword.arg: keyword.value for keyword in value.keywords}
    return given.get("default", given.get("default_factory"))


def _is_class_variable(item: ast.AnnAssign) -> bool:
    annotation = item.annotation.value if isinstance(item.annotation, ast.Subscript) else item.annotation
    return last_name(annotation) == "ClassVar"
