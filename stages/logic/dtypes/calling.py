"""Decides what a call gives: an operation of torch, a method of a tensor, a layer, or code of the project."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.origins import origins
from stages.logic.dtypes import operations
from stages.logic.dtypes.known import (
    BOOL,
    FLOAT32,
    INT,
    NUMBER,
    UNKNOWN,
    Dtype,
    Known,
    joined,
    low_dtype,
    promoted,
    ranging,
)
from stages.logic.dtypes.layers import Passing, layer_calls, through_layer
from stages.logic.dtypes.numbers import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.logic.dtypes.reading import Reading

_TORCH = ("torch.", "einops.")
_PYTHON_NUMBERS = frozenset(["int", "float", "len", "round", "range"])
_NEARLY_ONE = {"float16": 1 - 2**-12, "bfloat16": 1 - 2**-9, "low": 1 - 2**-12}


def called(reading: Reading, call: ast.Call) -> Known:
    """Return what a call gives."""
    inner = reading.infer(call.func.value) if isinstance(call.func, ast.Attribute) else UNKNOWN
    given = [reading.infer(item) for item in call.args]
    for keyword in call.keywords:
        reading.infer(keyword.value)
    names = origins(reading.project, call.func, reading.scope)
    if any(name.startswith(_TORCH) for name in names):
        return _operation(reading, call, next(iter(sorted(names))).rpartition(".")[2], call.args, given)
    if any(name.startswith(("math.", "numpy.")) or name in _PYTHON_NUMBERS for name in names):
        return NUMBER
    ran = reading.run(reading, call, given)
    if ran is not None:
        return ran
    made = [item for item in layer_calls(reading.project, call.func, reading.scope) if item[0] is not call]
    if made:
        first = given[0] if given else UNKNOWN
        passing = Passing(reading.project, reading.region, call)
        found = [through_layer(passing, item, first) or UNKNOWN for item in made]
        return joined(found)
    if isinstance(call.func, ast.Attribute):
        return _operation(reading, call, call.func.attr, [call.func.value, *call.args], [inner, *given])
    return UNKNOWN


def lowered(reading: Reading, node: ast.expr, operands: Sequence[Known]) -> Known:
    """Return what a matrix product or the like gives."""
    if reading.region.low:
        return ranging(Known(low_dtype(reading.region), node), *operands).marked("matmul", node)
    low = next((item for item in operands if item.low), None)
    if low is not None and all(item.dtype == low.dtype for item in operands):
        return ranging(Known(low.dtype, low.since), *operands).marked("matmul", node)
    return ranging(FLOAT32 if any(item.dtype == "float32" for item in operands) else UNKNOWN, *operands)


def dtype_named(reading: Reading, node: ast.expr) -> Known | None:
    """Return what has the dtype that an expression names; None where it names no dtype."""
    if isinstance(node, ast.Attribute) and node.attr == "dtype":
        known = reading.infer(node.value).plain()
        return replace(known, positions=False)
    names = {name for name in origins(reading.project, node, reading.scope) if name.startswith(("torch.", "numpy."))}
    found = {operations.DTYPES.get(name.rpartition(".")[2], "") for name in names}
    if len(found) == 1 and (dtype := found.pop()):
        return Known(_as_dtype(dtype), node if dtype in ("float16", "bfloat16") else None)
    if "dtype" in last_name(node):
        return UNKNOWN
    return None


def _as_dtype(name: str) -> Dtype:
    match name:
        case "float16" | "bfloat16" | "float32" | "int" | "bool":
            return name
    return ""


def _wanted(reading: Reading, call: ast.Call) -> Known | None:
    """Return what a `dtype=` argument asks for; None where there is none."""
    for keyword in call.keywords:
        if keyword.arg == "dtype" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None):
            return dtype_named(reading, keyword.value) or UNKNOWN
    return None


def _operation(
    reading: Reading, call: ast.Call, name: str, arguments: Sequence[ast.expr], given: Sequence[Known]
) -> Known:
    """Return what an operation of torch gives for its arguments, the tensor itself being the first."""
    first = given[0] if given else UNKNOWN
    asked = _wanted(reading, call)
    if asked is not None and name != "to":
        kept = first.positions or name == "arange"
        return replace(asked, since=call if asked.low else first.since, positions=kept)
    if name in operations.CASTS:
        return _cast(first, _as_dtype(operations.CASTS[name]), call)
    if name in ("to", "type", "type_as"):
        return _to(reading, call, name, arguments, given)
    if name == "arange":
        whole = not any(isinstance(item, ast.Constant) and isinstance(item.value, float) for item in call.args)
        return replace(INT if whole else FLOAT32, positions=True)
    if name in operations.LOWERED:
        return lowered(reading, call, given[1:] if name == "einsum" else given)
    if name in operations.RAISED:
        return _raised(reading, call, name, first)
    if name in operations.SHAPED:
        return first
    if name in operations.KEPT:
        return _kept(reading, call, name, first)
    return _other(reading, name, arguments, given)


def _other(reading: Reading, name: str, arguments: Sequence[ast.expr], given: Sequence[Known]) -> Known:
    first = given[0] if given else UNKNOWN
    if name in operations.WIDENED:
        return _widened(reading, name, arguments, given)
    if name in operations.NUMBERS:
        return NUMBER
    if name in operations.INTEGERS or name in operations.WHOLE_CASTS:
        return replace(INT, positions=first.positions)
    if name in operations.TRUTHS:
        return BOOL
    if name in operations.MADE:
        return FLOAT32
    if name in operations.LIKE or name in operations.NEW:
        return first.plain()
    if name in ("chunk", "split", "unbind", "tensor_split") or (name in ("max", "min") and len(given) == 1):
        return first.plain()
    return UNKNOWN


def _cast(value: Known, dtype: Dtype, node: ast.AST) -> Known:
    low = dtype in ("float16", "bfloat16")
    return ranging(Known(dtype, node if low else value.since), value)


def _to(reading: Reading, call: ast.Call, name: str, arguments: Sequence[ast.expr], given: Sequence[Known]) -> Known:
    """Return what a cast gives; a device alone keeps the dtype."""
    value, asked = given[0] if given else UNKNOWN, _wanted(reading, call)
    for node, known in zip(arguments[1:], given[1:], strict=False):
        if asked is None:
            asked = dtype_named(reading, node)
        if asked is None and (name == "type_as" or known.dtype in ("float16", "bfloat16", "float32", "low")):
            asked = known.plain()
    if asked is None:
        return value
    return ranging(replace(asked, since=call if asked.low else value.since), value)


def _raised(reading: Reading, call: ast.Call, name: str, first: Known) -> Known:
    if reading.region.low:
        return ranging(FLOAT32, first)
    plain = first.plain()
    if name == "softmax" and plain.low:
        return plain.marked("softmax", call)
    if name == "pow" and plain.low:
        return plain.marked("square", call)
    if name == "sum" and plain.low and first.marked_at("square") is not None:
        return plain.marked("mean-square", call)
    return plain.marked("exp", call) if name == "exp" and plain.low else plain


def _kept(reading: Reading, call: ast.Call, name: str, first: Known) -> Known:
    plain = first.plain()
    if name in ("sin", "cos", "sigmoid", "tanh"):  # of positions these are no longer positions
        plain = replace(plain, positions=False)
    if not plain.low:
        return plain
    if name in ("sigmoid", "sigmoid_"):
        return plain.marked("sigmoid", call)
    if name == "square":
        return plain.marked("square", call)
    if name == "mean" and first.marked_at("square") is not None:
        return plain.marked("mean-square", call)
    if name.startswith(("clamp", "clip")):
        return _clamped(reading, call, name, plain)
    return plain


def _clamped(reading: Reading, call: ast.Call, name: str, value: Known) -> Known:
    """Mark a lower limit that may be nothing, and an upper one that may be one, in half."""
    least, most = limits(reading, call, name)
    if least is not None and (number := number_of(reading.project, least, reading.scope)) is not None and number > 0:
        value = value.marked("tiny", least)
    number = None if most is None else number_of(reading.project, most, reading.scope)
    if most is not None and number is not None and _NEARLY_ONE.get(value.dtype, 1.0) < number < 1.0:
        value = value.marked("ceiling", most)
    return value


def limits(reading: Reading, call: ast.Call, name: str) -> tuple[ast.expr | None, ast.expr | None]:
    """Return the lower and the upper limit that `clamp` was given."""
    names = origins(reading.project, call.func, reading.scope)
    given = call.args[1:] if any(item.startswith("torch.") for item in names) else call.args
    keywords = {item.arg: item.value for item in call.keywords}
    if name.rstrip("_") == "clamp_max":
        return None, given[0] if given else keywords.get("max")
    least = given[0] if given else keywords.get("min")
    most = given[1] if len(given) > 1 else keywords.get("max")
    return (least, None) if name.rstrip("_") == "clamp_min" else (least, most)


def _widened(reading: Reading, name: str, arguments: Sequence[ast.expr], given: Sequence[Known]) -> Known:
    parts = list(given)
    if name == "where":
        parts = parts[1:]
    elif arguments and isinstance(arguments[0], ast.List | ast.Tuple):
        parts = [reading.unit.at(item) for item in arguments[0].elts]
        parts = [
            NUMBER if isinstance(item, ast.Constant) else part
            for item, part in zip(arguments[0].elts, parts, strict=True)
        ]
    if not parts:
        return UNKNOWN
    found = parts[0]
    for part in parts[1:]:
        found = promoted(found, part)
    found = found.plain()
    if name == "add" and found.low and len(arguments) > 1:
        number = number_of(reading.project, arguments[1], reading.scope)
        if number is not None and number > 0:
            return found.marked("tiny", arguments[1])
    return found
