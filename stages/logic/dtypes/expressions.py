"""Decides what an expression is, from what its parts are and from the autocast it runs under."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import attribute_bindings, origins
from stages._source.program.scopes import self_class
from stages.logic.dtypes import calling
from stages.logic.dtypes.known import BOOL, FLOAT32, INT, NUMBER, UNKNOWN, Known, joined, promoted, ranging
from stages.logic.dtypes.numbers import number_of

if TYPE_CHECKING:
    from stages._source.program.project import Project
    from stages._source.program.scopes import Binding, Scope
    from stages.logic.dtypes.known import Mark
    from stages.logic.dtypes.reading import Reading

_POSITIONS = late(
    r"(?:.*_)?(?:positions?|pos|position_ids|pos_ids|timesteps?|time_?ids|(?:inv_)?freqs?(?:_(?:base|bands?|expanded))?|omegas?|seq_idx)\d*"
)
_SCALAR = late(r"(?:.*_)?(?:scale|scaling|scale_factor|temperature|temp|tau|norm_factor|dim|d_k|d_head|sqrt_d\w*)")
_WEIGHTS = ("Parameter", "register_buffer")


def infer(reading: Reading, node: ast.expr) -> Known:
    """Return what is known of an expression, and write it down for the rules."""
    known = _infer(reading, node)
    if not isinstance(node, ast.Constant):
        reading.unit.known[node] = known
    return known


def _infer(reading: Reading, node: ast.expr) -> Known:
    match node:
        case ast.Constant(value=bool() | int() | float()):
            return NUMBER
        case ast.Name(id=name):
            return _named(reading, node, name)
        case ast.Attribute():
            return _attribute(reading, node)
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(reading, node, infer(reading, left), op, infer(reading, right))
        case ast.UnaryOp(operand=operand):
            inner = infer(reading, operand)
            return BOOL if isinstance(node.op, ast.Not | ast.Invert) else inner.plain()
        case ast.Compare(left=left, comparators=others):
            for part in (left, *others):
                infer(reading, part)
            return BOOL
        case ast.BoolOp(values=values):
            return joined([infer(reading, value) for value in values])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            infer(reading, test)
            return joined([infer(reading, body), infer(reading, orelse)])
        case ast.Subscript(value=value, slice=index):
            inner = infer(reading, value)
            infer(reading, index)
            return inner
        case ast.Call():
            reading.unit.regions[node] = reading.region
            return calling.called(reading, node)
        case ast.NamedExpr(target=ast.Name(id=name), value=value):
            reading.env[name] = infer(reading, value)
            return reading.env[name]
    _inside(reading, node)
    return UNKNOWN


def _inside(reading: Reading, node: ast.expr) -> None:
    """Look at the parts of a display or a comprehension; what it binds itself stays unknown."""
    if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            infer(reading, child)


def _named(reading: Reading, node: ast.Name, name: str) -> Known:
    if name in reading.env:
        known = reading.env[name]
    elif number_of(reading.project, node, reading.scope) is not None:
        return NUMBER
    else:
        known = UNKNOWN
    return _with_positions(known, name)


def _with_positions(known: Known, name: str) -> Known:
    if known.positions or known.bounded or not _POSITIONS.fullmatch(name):
        return known
    return replace(known, positions=True)


def _attribute(reading: Reading, node: ast.Attribute) -> Known:
    dotted = ast.unparse(node) if isinstance(node.value, ast.Name) else ""
    if dotted in reading.env:
        return _with_positions(reading.env[dotted], node.attr)
    inner = infer(reading, node.value)
    if node.attr in ("shape", "ndim"):
        return NUMBER
    if node.attr in ("T", "mT", "data", "H", "values", "real"):
        return inner
    if node.attr == "indices":
        return INT
    if isinstance(node.value, ast.Name) and (cls := self_class(reading.scope, node.value.id)) is not None:
        return _with_positions(_of_attribute(reading, cls, node.attr), node.attr)
    if any(name.startswith(("math.", "numpy.")) for name in origins(reading.project, node, reading.scope)):
        return NUMBER
    return _with_positions(UNKNOWN, node.attr)


def _of_attribute(reading: Reading, cls: Scope, name: str) -> Known:
    """Return what an attribute is that the class sets elsewhere: a parameter, a buffer or a number."""
    bindings = attribute_bindings(reading.project, cls, name)
    return joined([_of_binding(reading, binding) for binding in bindings]) if bindings else UNKNOWN


def _of_binding(reading: Reading, binding: Binding) -> Known:
    value = binding.value
    if binding.how != "value" or value is None:
        return UNKNOWN
    if isinstance(value, ast.Call) and any(
        name.rpartition(".")[2] in _WEIGHTS for name in origins(reading.project, value.func, binding.scope)
    ):
        return FLOAT32
    if number_of(reading.project, value, binding.scope) is not None or _is_number(reading.project, value, binding):
        return NUMBER
    return UNKNOWN


def _is_number(project: Project, value: ast.expr, binding: Binding) -> bool:
    """Say whether arithmetic in a constructor is on numbers: on settings, not on tensors."""
    match value:
        case ast.BinOp(left=left, right=right):
            return all(
                _is_number(project, part, binding) or isinstance(part, ast.Constant | ast.Name | ast.Attribute)
                for part in (left, right)
            ) and not _has_tensors(project, value, binding)
        case ast.Call(func=func):
            return any(
                name.startswith(("math.", "numpy.sqrt", "float", "int")) and name != "float.fromhex"
                for name in origins(project, func, binding.scope)
            )
    return False


def _has_tensors(project: Project, value: ast.expr, binding: Binding) -> bool:
    return any(
        isinstance(part, ast.Call)
        and not any(
            name.startswith(("math.", "numpy.", "float", "int")) for name in origins(project, part.func, binding.scope)
        )
        for part in ast.walk(value)
    )


def _combined(reading: Reading, node: ast.BinOp, left: Known, op: ast.operator, right: Known) -> Known:
    if isinstance(op, ast.MatMult):
        return calling.lowered(reading, node, [left, right])
    left = _as_scalar(node.left, left, right)
    right = _as_scalar(node.right, right, left)
    if isinstance(op, ast.Pow):
        if reading.region.low and left.dtype != "number":
            return replace(FLOAT32, positions=left.positions or right.positions)
        base = (left if left.dtype != "number" else right).plain()
        base = replace(base, positions=left.positions or right.positions)
        return base.marked("square", node) if base.low and left.dtype != "number" else base
    found = promoted(left, right)
    divided = isinstance(op, ast.Div) and found.dtype in ("int", "bool")
    if divided or (found.dtype == "int" and _is_fraction(node)):
        found = ranging(FLOAT32, found)
    if isinstance(op, ast.Div) and left.positions and _is_made_of(node.right, node.left):
        found = replace(found, positions=False, bounded=True)
    return _noted(reading, node, op, left, right, found)


def _is_made_of(whole: ast.expr, part: ast.expr) -> bool:
    """Say whether `part` is read in `whole`, as in `positions / positions[-1]`."""
    wanted = ast.dump(part)
    return any(ast.dump(node) == wanted for node in ast.walk(whole))


def _as_scalar(part: ast.expr, known: Known, other: Known) -> Known:
    """Take what is called a scale for a number where it meets a tensor."""
    if known.dtype or not other.low:
        return known
    name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
    return NUMBER if _SCALAR.fullmatch(name) else known


def _is_fraction(node: ast.BinOp) -> bool:
    return any(isinstance(part, ast.Constant) and isinstance(part.value, float) for part in (node.left, node.right))


def _noted(reading: Reading, node: ast.BinOp, op: ast.operator, left: Known, right: Known, found: Known) -> Known:
    """Mark a sum with a tiny number, a difference from one, and a square."""
    if not found.low:
        return found
    if isinstance(op, ast.Add):
        for part, other in ((node.left, right), (node.right, left)):
            number = number_of(reading.project, part, reading.scope)
            if number is not None and number > 0 and other.low:
                return found.marked("tiny", part)
    if isinstance(op, ast.Sub) and number_of(reading.project, node.left, reading.scope) == 1.0:
        for mark, then in _FROM_ONE:
            if (at := right.marked_at(mark)) is not None:
                found = found.marked(then, at)
    if isinstance(op, ast.Mult) and ast.dump(node.left) == ast.dump(node.right):
        return found.marked("square", node)
    product = left.marked_at("matmul")
    if isinstance(op, ast.Mult | ast.Div) and product is not None and right.dtype == "number":
        return found.marked("matmul", product)
    return found


_FROM_ONE: tuple[tuple[Mark, Mark], ...] = (("ceiling", "one-minus"), ("sigmoid", "one-minus-sigmoid"))
