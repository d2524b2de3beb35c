"""Decides how a module's contracts are shown: classes with fields and methods, functions, dependencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.escape import code
from reports.facts import Row, rows, section, text, texts, whole
from reports.figures import listed
from reports.table import Table, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_KINDS = {"lazy": "inside a function", "type-only": "for types only", "guarded": "guarded"}


@dataclass(frozen=True, slots=True)
class ClassView:
    """One class, ready for display."""

    title: Markup
    lines: str
    docstring: str
    fields: Table
    methods: Table


@dataclass(frozen=True, slots=True)
class InterfaceView:
    """The second section."""

    classes: tuple[ClassView, ...]
    functions: Table
    dependencies: Table


def interface_view(facts: Row) -> InterfaceView:
    groups = section(facts, "dependencies")
    return InterfaceView(
        classes=tuple(_class(row) for row in rows(facts, "classes")),
        functions=_functions("Function", rows(facts, "functions")),
        dependencies=table(
            "From|Module|Lines|How",
            [
                (group, code(text(row, "module"), cell=True), _numbers(row), _how(row))
                for group in groups
                for row in rows(groups, group)
            ],
        ),
    )


def _class(row: Row) -> ClassView:
    bases = ", ".join(texts(row, "bases"))
    marks = "".join(f"@{mark} " for mark in texts(row, "decorators"))
    return ClassView(
        title=code(f"{marks}{text(row, 'name')}" + (f"({bases})" if bases else "")),
        lines=_lines(row),
        docstring=text(row, "docstring"),
        fields=table(
            "Field|Type|Default|Line",
            [
                (code(text(one, "name"), cell=True), _shown(one, "type"), _shown(one, "default"), whole(one, "line"))
                for one in rows(row, "fields")
            ],
            right="Line",
        ),
        methods=_functions("Method", rows(row, "methods")),
    )


def _functions(head: str, found: Sequence[Row]) -> Table:
    return table(
        f"{head}|Lines|What it says",
        [(code(_signature(row), cell=True), _lines(row), text(row, "docstring") or "no docstring") for row in found],
    )


def _signature(row: Row) -> str:
    returns = text(row, "returns")
    prefix = "async " if row.get("is_async") is True else ""
    return f"{prefix}{text(row, 'name')}{text(row, 'signature')}" + (f" -> {returns}" if returns else "")


def _lines(row: Row) -> str:
    return f"{whole(row, 'line')} to {whole(row, 'end_line')}"


def _shown(row: Row, key: str) -> Markup | str:
    value = text(row, key)
    return code(value, cell=True) if value else ""


def _numbers(row: Row) -> str:
    found = row.get("lines")
    return ", ".join(str(item) for item in found) if isinstance(found, list) else ""


def _how(row: Row) -> str:
    told = [_KINDS[kind] for kind in texts(row, "kinds") if kind in _KINDS]
    if row.get("resolved") is False:
        told.append("not found here")
    return listed(told)
