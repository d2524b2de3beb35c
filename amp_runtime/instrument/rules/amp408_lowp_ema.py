"""AMP408: a moving average of weights is kept in half precision."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..casts import HALF, name_of
from ..events import StepEnded
from ..precision_events import ModuleCopied
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_FOLLOWED = 4  # copies
_UPDATES = 3  # that changed nothing, until it is said: one may have been too small by chance
_MOVED = 0.01  # share of weights: in float32 practically all of them move, in half with a decay of .999 none


@dataclass(slots=True)
class _Copy:
    weight: weakref.ref[Any]
    source: weakref.ref[Any]
    place: tuple[str, int]
    version: int
    values: Any = None
    still: int = 0


def _copied(event: ModuleCopied, run: Run) -> Findings:
    copies: list[_Copy] = run.memory("AMP408").setdefault("copies", [])
    pairs = list(zip(event.copy.parameters(), event.original.parameters(), strict=False))
    pairs = [pair for pair in pairs if pair[0].dtype in HALF or pair[1].dtype in HALF]
    if not pairs:
        return NOTHING
    weight, source = max(pairs, key=lambda pair: pair[0].numel())
    copies.append(_Copy(weakref.ref(weight), weakref.ref(source), event.place, weight._version))
    del copies[:-_FOLLOWED]
    return None


def _step(event: StepEnded, run: Run) -> Findings:
    copies: list[_Copy] = run.memory("AMP408").get("copies", [])
    if not copies or not run.close:
        return None
    found = []
    for copy in list(copies):
        weight, source = copy.weight(), copy.source()
        if weight is None or source is None or weight.dtype not in HALF:
            copies.remove(copy)
        elif weight._version != copy.version:
            found += _updated(copy, weight.detach(), source.detach())
    return found or NOTHING


def _updated(copy: _Copy, weight: Any, source: Any) -> list[Found]:
    """Compare a copy that was written since the last look with what it was, and with what it should follow."""
    copy.version = weight._version
    before, copy.values = copy.values, weight.clone()
    apart = source.to(weight.dtype) != weight
    if before is None or not bool(apart.any()):
        return []
    moved = float((weight != before)[apart].float().mean())
    copy.still = copy.still + 1 if moved <= _MOVED else 0
    if copy.still < _UPDATES:
        return []
    message = (
        f"{copy.still} updates moved {moved:.1%} of the weights of this {name_of(weight.dtype)} copy that differ from "
        "the model's: what an average adds is less than its type can hold."
    )
    return [Found(message=message, values={"moved": moved, "updates": float(copy.still)}, place=copy.place)]


CHECK = Check(
    code="AMP408",
    remedy="Keep the average in float32: `copy.deepcopy(model).float()`.",
    hears={ModuleCopied: _copied, StepEnded: _step},
)
