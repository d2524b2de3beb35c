"""Decides how the imports are made lazy that the simulation of a cycle found to be enough."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.imports import add_for_type_checking, add_in_function, bound_name, written
from stages._source.rewriting.reading import Function, reading
from stages._source.rewriting.statements import remove
from stages._source.rewriting.takers import taken_elsewhere
from verifier.api import Edit, Repair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages._source.rewriting.imports import Import
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext, Json


SUMMARY = (
    "Moves the imports that the finding names into the functions that use what they bind. Unsafe: those of which"
    " only annotations speak move below `if TYPE_CHECKING:`, where code that reads annotations at run time does not"
    " find them, and those that nothing uses go."
)
DECLINES = "no set of imports to make lazy was found, or another file seems to take the name from this one"


def make_lazy(finding: Finding, context: FixContext) -> Repair | None:
    """Return the edits for what a cycle's finding proposes; None where it proposes nothing, or a name is taken."""
    edits: dict[str, tuple[Edit, ...]] = {}
    told: list[str] = []
    for item in _proposed(finding):
        path = str(item["path"])
        read = reading(context, path) if context.file(path) is not None else None
        made = _lazy(read, item, context) if read is not None else None
        if made is None:
            return None
        edits[path] = (*edits.get(path, ()), *made)
        told.append(f"`{item['statement']}` of {path}")
    if not edits:
        return None
    unused = any(not item.get("functions") and not item.get("annotated") for item in _proposed(finding))
    annotated = any(item.get("annotated") for item in _proposed(finding))
    what = f"removes {' and '.join(told)}, which nothing uses" if unused else f"makes {' and '.join(told)} lazy"
    return Repair(edits=edits, what=what, safety="unsafe" if unused or annotated else "safe")


def _proposed(finding: Finding) -> list[Mapping[str, Json]]:
    for evidence in finding.evidence:
        made = evidence.data.get("make_lazy")
        if isinstance(made, list):
            return [item for item in made if isinstance(item, dict)]
    return []


def _lazy(read: Reading, item: Mapping[str, Json], context: FixContext) -> list[Edit] | None:
    names, line = item.get("functions"), item["line"]
    statement = next((node for node in read.imports() if node.lineno == line and node in read.tree.body), None)
    if statement is None or not isinstance(names, list):
        return None
    if taken_elsewhere(context, read.path, [bound_name(alias) for alias in statement.names]):
        return None
    gone = remove(read, statement)
    edits = [gone] if gone is not None else []
    for name in names:
        functions = [node for node in read.functions() if _qualname(read, node) == name]
        used = _used(functions[0], statement) if len(functions) == 1 else []
        code = "\n".join(written(statement, alias) for alias in used)
        edit = add_in_function(read, functions[0], code) if used else None
        if edit is None:
            return None
        edits.append(edit)
    if item.get("annotated"):
        code = "\n".join(written(statement, alias) for alias in statement.names)
        added = add_for_type_checking(read, code)
        if added is None:
            return None
        edits += added
    return edits if gone is not None else None


def _used(function: Function, statement: Import) -> list[ast.alias]:
    read = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return [alias for alias in statement.names if bound_name(alias) in read]


def _qualname(read: Reading, node: Function) -> str:
    around = [outer.name for outer in read.around(node) if isinstance(outer, Function | ast.ClassDef)]
    return ".".join([*reversed(around), node.name])
