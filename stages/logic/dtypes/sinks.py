"""Where a value that half precision rounded to 0, or moved, does harm: divisions, logarithms, roots, sin and cos."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.origins import origins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Known, Unit

_LOGARITHMS = ("log", "log2", "log10")
_AT_ZERO = (*_LOGARITHMS, "sqrt", "rsqrt", "reciprocal")
_DIVISIONS = ("div", "div_", "divide", "true_divide")
_WAVES = ("sin", "cos")


def guarded(project: Project, unit: Unit) -> Iterator[tuple[ast.expr, Known]]:
    """Yield what is divided by, and what a logarithm or a root is taken of."""
    for node in list(unit.known):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield node.right, unit.at(node.right)
        elif isinstance(node, ast.Call) and node.args and last_name(node.func) in _DIVISIONS:
            yield node.args[-1], unit.at(node.args[-1])
    for _, node, known in _operands(project, unit, _AT_ZERO):
        yield node, known


def logarithms(project: Project, unit: Unit) -> Iterator[tuple[ast.Call, ast.expr, Known]]:
    """Yield each logarithm, and what it is taken of."""
    yield from _operands(project, unit, _LOGARITHMS)


def waves(project: Project, unit: Unit) -> Iterator[tuple[ast.Call, ast.expr, Known]]:
    """Yield each sin and cos, and what it is taken of."""
    yield from _operands(project, unit, _WAVES)


def _operands(project: Project, unit: Unit, names: tuple[str, ...]) -> Iterator[tuple[ast.Call, ast.expr, Known]]:
    for call in list(unit.known):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute | ast.Name):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
        if name not in names:
            continue
        node = call.func.value if isinstance(call.func, ast.Attribute) else None
        if call.args and any(item.startswith("torch.") for item in origins(project, call.func, unit.scope)):
            node = call.args[0]
        if node is not None:
            yield call, node, unit.at(node)


def mean_squares(unit: Unit) -> Iterator[tuple[ast.Call, Known]]:
    """Yield each mean or sum of squares that half precision computes."""
    for node, known in list(unit.known.items()):
        if isinstance(node, ast.Call) and known.marked_at("mean-square") is node:
            yield node, known


def norms(project: Project, unit: Unit) -> dict[ast.AST, ast.expr]:
    """Return the means of squares that a root is taken of, each with the operand of that root."""
    found: dict[ast.AST, ast.expr] = {}
    for _, operand, _ in _operands(project, unit, ("sqrt", "rsqrt")):
        for part in ast.walk(operand):
            mean = unit.at(part).marked_at("mean-square")
            if mean is not None:
                found[mean] = operand
    return found
