"""How torch's scalers and autocast contexts read their arguments, and what an argument plainly is."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.origins import resolve_bindings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages._source.program.scopes import Binding, Scope
    from stages.logic.view import View

What = Literal["flag", "number", "text", "dtype"]

_NUMBERS = ("init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled")
_SHARDED = ("device", "init_scale", "backoff_factor", "growth_factor", "growth_interval", "enabled", "process_group")
_SCALER = late(r"torch\.(?:(cuda|cpu)\.)?(?:amp\.)?(?:grad_scaler\.)?GradScaler")
_AUTOCAST = late(r"torch\.(?:(cuda|cpu)\.)?(?:amp\.)?(?:autocast_mode\.)?autocast")
_FLAG = late(
    r"(?:use|using|enable|enabled|is|with|do|has|no|run|train)_\w+|\w*enabled?|(?:\w+_)?(?:amp|fp16|bf16|half|mixed)(?:_run)?"
    r"|mixed_precision|autocast|USE_\w+"
)
_NO_FLAG = late(r"type|device|scale|level|mode|ctx|context|name|class|backend|config", re.I)
_DTYPES = frozenset(["float16", "half", "bfloat16", "float32", "float", "float64", "double"])
_ANSWERS = late(r"(?:\w+\.)*(?:is_\w+|has_\w+)|bool|hasattr|isinstance|any|all|callable")
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Signature:
    """A constructor: its dotted name, its parameters in order, and the device that its name fixes."""

    name: str
    parameters: tuple[str, ...]
    device: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """The arguments of a call by parameter. `whole`: no star passes what cannot be seen."""

    by_name: dict[str, ast.expr]
    positional: tuple[tuple[str, ast.expr], ...]
    whole: bool


@cache  # every call of every file is asked about, by several rules
def scalers(names: frozenset[str]) -> tuple[Signature, ...]:
    """Return the signatures of the scalers that a call may make; several where imports differ by version."""
    return tuple(signature for name in sorted(names) if (signature := _scaler(name)))


@cache
def autocasts(names: frozenset[str]) -> tuple[Signature, ...]:
    """Return the signatures of the autocast contexts that a call may make."""
    return tuple(signature for name in sorted(names) if (signature := _autocast(name)))


def bind(call: ast.Call, signature: Signature) -> Bound:
    """Say which parameter each argument of a call is for."""
    by_name: dict[str, ast.expr] = {}
    positional: list[tuple[str, ast.expr]] = []
    whole = True
    for argument, parameter in zip(call.args, signature.parameters, strict=False):
        if isinstance(argument, ast.Starred):
            whole = False
            break
        positional.append((parameter, argument))
    by_name.update(positional)
    for keyword in call.keywords:
        whole = whole and keyword.arg is not None
        if keyword.arg is not None:
            by_name[keyword.arg] = keyword.value
    return Bound(by_name, tuple(positional), whole)


def plainly(view: View, node: ast.expr, scope: Scope, depth: int = 0) -> What | None:
    """Say what an argument is, by what it is written as, by what binds its name, or else by the name alone."""
    match node:
        case ast.Constant(value=bool()) | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "flag"
        case ast.Constant(value=int() | float()):
            return "number"
        case ast.Constant(value=str()) | ast.JoinedStr():
            return "text"
        case ast.UnaryOp(operand=inner):
            return plainly(view, inner, scope, depth)
        case ast.BinOp(left=left, right=right):
            kinds = {plainly(view, left, scope, depth), plainly(view, right, scope, depth)}
            return "number" if kinds == {"number"} else None
        case ast.BoolOp(values=values):
            return _agreed(plainly(view, value, scope, depth) for value in values)
        case ast.IfExp(body=body, orelse=orelse):
            return _agreed((plainly(view, body, scope, depth), plainly(view, orelse, scope, depth)))
        case ast.Call(func=func):
            return _of_call(ast.unparse(func))
        case ast.Name() | ast.Attribute():
            return _of_name(view, node, scope, depth)
    return None


def _scaler(name: str) -> Signature | None:
    if found := _SCALER.fullmatch(name):
        if found[1]:
            return Signature(name, _NUMBERS, found[1])
        return Signature(name, ("device", *_NUMBERS))
    if name.startswith("torch.distributed.") and name.endswith(".ShardedGradScaler"):
        return Signature(name, _SHARDED)
    return None


def _autocast(name: str) -> Signature | None:
    if found := _AUTOCAST.fullmatch(name):
        if found[1]:
            return Signature(name, ("enabled", "dtype", "cache_enabled"), found[1])
        return Signature(name, ("device_type", "dtype", "enabled", "cache_enabled"))
    return None


def _agreed(kinds: Iterable[What | None]) -> What | None:
    found = set(kinds)
    return found.pop() if len(found) == 1 else None


def _of_call(func: str) -> What | None:
    if _ANSWERS.fullmatch(func):
        return "flag"
    return "number" if func in ("float", "int") else None


def _of_name(view: View, node: ast.Name | ast.Attribute, scope: Scope, depth: int) -> What | None:
    dotted = view.origins(node, scope)
    if dotted and all(name.startswith("torch.") and name.rpartition(".")[2] in _DTYPES for name in dotted):
        return "dtype"
    bindings = resolve_bindings(view.project, node, scope)
    if bindings and depth < _DEPTH:
        kinds = {_of_binding(view, binding, depth) for binding in bindings}
        if kinds != {None}:
            return _agreed(kinds)
        if any(binding.how not in ("parameter", "value") for binding in bindings):
            return None
    return "flag" if _is_called_like_flag(last_name(node)) else None


def _of_binding(view: View, binding: Binding, depth: int) -> What | None:
    if binding.annotation is not None:
        annotated: dict[str, What] = {"bool": "flag", "float": "number", "int": "number", "str": "text"}
        return annotated.get(ast.unparse(binding.annotation))
    if binding.value is None or binding.how not in ("value", "parameter"):
        return None
    return plainly(view, binding.value, binding.scope, depth + 1)


def _is_called_like_flag(name: str) -> bool:
    return _FLAG.fullmatch(name) is not None and _NO_FLAG.search(name) is None
