"""What a path says about a scaler and the autocast context of the loss that it scales."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages.logic.constructors import autocasts, bind, scalers
from stages.logic.engine.contexts import forward_cast
from stages.logic.engine.values import Autocast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module
    from stages.logic.engine.events import Scaled
    from stages.logic.engine.place import Place
    from stages.logic.engine.state import State
    from stages.logic.engine.values import Scaler

_BF16 = late(r"(?:\w+_)?(?:bf16|bfloat16|bfp16)(?:_\w+)?", re.I)
_DEVICE = late(r"cuda|device|gpu|cpu", re.I)


@dataclass(frozen=True, slots=True)
class Forward:
    """The autocast context, switched on, that the loss was computed in, and where it was entered."""

    context: Autocast
    place: Place


def forward_of(state: State) -> Forward | None:
    """Return torch's own context of the forward whose backward comes next; frameworks look after theirs."""
    active = forward_cast(state)
    if active is None or not isinstance(active.context, Autocast) or active.context.framework:
        return None
    return Forward(active.context, active.place)


def may_be_float16(forward: Forward) -> bool:
    """Say whether a context is one of float16: by its dtype or, if neither that nor a device is written, on CUDA."""
    context = forward.context
    if context.dtype is not None or context.device is not None or not isinstance(context.site, ast.Call):
        return context.dtype == "float16"
    named = {keyword.arg for keyword in context.site.keywords}
    whole = last_name(context.site.func) == "autocast"  # a partial may have been given a dtype
    return whole and len(context.site.args) < 2 and not named & {"dtype", None}


def enabled_of(call: ast.AST | None) -> ast.expr | None:
    """Return the `enabled` argument of the call that made a scaler or a context."""
    if not isinstance(call, ast.Call):
        return None
    for keyword in call.keywords:
        if keyword.arg == "enabled":
            return keyword.value
    name = last_name(call.func)
    old = re.search(r"\b(cuda|cpu)\.amp", ast.unparse(call.func)) is not None
    full = f"torch.{'cuda.' if old else ''}amp.{name}"
    signatures = scalers(frozenset([full])) or autocasts(frozenset([full]))
    return dict(bind(call, signatures[0]).positional).get("enabled") if signatures else None


def conditions(module: Module, call: ast.AST) -> Iterator[ast.expr]:
    """Yield the conditions under which a scaler is made and on: its flag, and the branches it stands in."""
    enabled = enabled_of(call)
    if enabled is not None:
        yield enabled
    parents = module.scopes.parents
    inner, around = call, parents.get(call)
    while around is not None and not isinstance(around, Function):
        if (isinstance(around, ast.IfExp) and inner is around.body) or (
            isinstance(around, ast.If) and inner in around.body
        ):
            yield around.test
        elif isinstance(around, ast.IfExp | ast.If) and inner is not around.test:
            yield ast.UnaryOp(ast.Not(), around.test)
        inner, around = around, parents.get(around)


def where_made(event: Scaled) -> Place:
    """Return where a scaler is made; where it is used instead, if another file makes it for everybody."""
    made = event.scaler.at
    return event.place if made is None or made.module is not event.place.module else made


def says_bf16(test: ast.expr | None) -> bool:
    """Say whether a condition is true only where bfloat16 was chosen."""
    match test:
        case ast.BoolOp(op=ast.And(), values=values):
            return any(says_bf16(value) for value in values)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            return _is_bf16(left) or _is_bf16(right)
        case ast.Name() | ast.Attribute():
            return _BF16.fullmatch(last_name(test)) is not None
    return False


def asks_device(test: ast.expr | None) -> bool:
    """Say whether a condition asks for the device: a context for a device that is not there is off as well."""
    return test is not None and _DEVICE.search(ast.unparse(test)) is not None


def is_ours(scaler: Scaler) -> bool:
    """Say whether a scaler was made in sight and is torch's own."""
    return scaler.at is not None and not scaler.assumed and scaler.kind != "custom"


def _is_bf16(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and _BF16.fullmatch(node.value.replace("torch.", "")) is not None
    return isinstance(node, ast.Attribute) and node.attr == "bfloat16"
