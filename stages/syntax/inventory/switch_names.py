"""Decides which parameters and fields are a switch for mixed precision."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.origins import origins
from stages.syntax.inventory.text import literal, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.program.project import Project
    from stages.syntax.inventory.switch_uses import Load

_SWITCH = late(
    r"(?:use|enable|with|is|do|native|apply|torch)_(?:amp|autocast|fp16|bf16|mixed_precision|half_precision)"
    r"|(?:amp|autocast|fp16|bf16|mixed_precision)_(?:enabled|mode|dtype|precision)"
    r"|(?:no|disable)_(?:amp|autocast)|mixed_precision|fp16|bf16|requested_precision|amp_config"
)
_PRECISIONS = late(r"(?:bf|fp|float)?(?:16|32|64)(?:-(?:mixed|true))?|bfloat16|half")


def is_switch(
    project: Project, name: str, annotation: ast.expr | None, default: ast.expr | None, loads: Sequence[Load]
) -> bool:
    """By name where that is clear; `amp` may be an amplitude and `precision` a metric, so there evidence decides."""
    if name == "amp":
        annotated = text_of(annotation).strip("'\"")
        return annotated.startswith(("bool", "Optional[bool")) or isinstance(literal(default), bool)
    if name == "precision":
        return (
            _speaks_of_precision(default)
            or _speaks_of_precision(annotation)
            or any(_compared(load) or _sets_framework(project, load) for load in loads)
        )
    return _SWITCH.fullmatch(name) is not None


def may_be_switch(name: str) -> bool:
    """Say whether it is worth looking at how the name is used."""
    return name in ("amp", "precision") or _SWITCH.fullmatch(name) is not None


def _speaks_of_precision(node: ast.expr | None) -> bool:
    if node is None:
        return False
    values = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return any(isinstance(value, str) and _PRECISIONS.fullmatch(value) for value in values)


def _compared(load: Load) -> bool:
    parent = load.module.scopes.parents.get(load.node)
    return isinstance(parent, ast.Compare) and any(_speaks_of_precision(part) for part in parent.comparators)


def _sets_framework(project: Project, load: Load) -> bool:
    keyword = load.module.scopes.parents.get(load.node)
    call = load.module.scopes.parents.get(keyword) if isinstance(keyword, ast.keyword) else None
    return isinstance(call, ast.Call) and bool(vocabulary.precision_arguments(origins(project, call.func, load.scope)))
