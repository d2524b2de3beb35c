"""AMP406: parameters are cast after their optimizer was made, and stepped then."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from ..casts import HALF, name_of
from ..events import OptimizerStepping
from ..precision_events import OptimizerMade
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _dtypes(optimizer: Any) -> list[Any]:
    return [parameter.dtype for group in optimizer.param_groups for parameter in group["params"]]


def _made(event: OptimizerMade, run: Run) -> Findings:
    known = run.memory("AMP406")
    known[str(id(event.optimizer))] = weakref.ref(event.optimizer), _dtypes(event.optimizer)
    return None


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    if not run.close:
        return None
    optimizer, known = event.optimizer, run.memory("AMP406")
    reference, before = known.get(str(id(optimizer)), (None, []))
    now = _dtypes(optimizer)
    known[str(id(optimizer))] = weakref.ref(optimizer), now
    if reference is None or reference() is not optimizer or len(before) != len(now):
        return None
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    changed = [
        (one, old) for one, old in zip(parameters, before, strict=True) if one.dtype is not old and _is_half(one, old)
    ]
    if not changed:
        return NOTHING
    (first, old), place = changed[0], run.casts.place_of(one for one, _old in changed)
    states = sum(_has_other_state(optimizer.state.get(one, {}), one) for one, _old in changed)
    message = (
        f"{len(changed)} parameters were {name_of(old)} when {type(optimizer).__name__} took them and are "
        f"{name_of(first.dtype)} in this step; the state of {states} of them has another type."
    )
    return [Found(message=message, values={"changed": float(len(changed)), "states": float(states)}, place=place)]


def _is_half(parameter: Any, before: Any) -> bool:
    return parameter.dtype in HALF or before in HALF


def _has_other_state(state: dict[str, Any], parameter: Any) -> bool:
    return any(
        getattr(one, "shape", None) == parameter.shape and one.dtype is not parameter.dtype for one in state.values()
    )


CHECK = Check(
    code="AMP406",
    remedy="Cast the model first, and make the optimizer of the cast parameters.",
    hears={OptimizerMade: _made, OptimizerStepping: _stepping},
)
