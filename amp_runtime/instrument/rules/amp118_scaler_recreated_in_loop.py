"""AMP118: a scaler is made anew, at the same line, for an optimizer that had one."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from ..events import ScalerStepping
from ..phrases import kind, of_scale, scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: ScalerStepping, run: Run) -> Findings:
    seen = run.scalers[id(event.scaler)]
    kept = run.memory("AMP118")
    known = kept.get(id(event.optimizer))
    if known is not None and known[0]() is event.optimizer and known[1] is seen:
        return None
    kept[id(event.optimizer)] = (weakref.ref(event.optimizer), seen)
    if known is None or known[0]() is not event.optimizer:
        return NOTHING
    before = known[1]
    if not seen.made_at[0] or before.made_at != seen.made_at or seen.loaded:
        return NOTHING
    scale = run.scale_of(id(event.scaler))
    message = (
        f"A new scaler is made here for {kind(event.optimizer)}, which had one after {before.updates}"
        f" update{'' if before.updates == 1 else 's'}: the loss scale starts at{of_scale(scale)} again."
    )
    return [Found(message=message, values={"updates": float(before.updates), **scale_value(scale)}, place=seen.made_at)]


CHECK = Check(
    code="AMP118",
    remedy="Make the scaler once per training, next to the optimizer.",
    hears={ScalerStepping: _stepping},
)
