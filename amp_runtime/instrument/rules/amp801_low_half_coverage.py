"""AMP801: most matrix products and convolutions run in float32 although autocast is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import named, place_of, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_LEAST = 100_000  # operations of one step: below, there is no speed to lose


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    done = {} if record.work is None else record.work.in_autocast
    full = sum(kinds.get("float32", 0) for kinds in done.values())
    total = sum(sum(kinds.values()) for kinds in done.values())
    if total < _LEAST:
        return None
    if full <= total / 2:
        return NOTHING
    worst = max(done, key=lambda name: done[name].get("float32", 0))
    message = f"{full / total:.0%} of the arithmetic under autocast runs in float32, most in {worst or 'no module'}"
    promoted = [one for one in record.promotions if one.operand.origin]
    if promoted:
        message += f"; {promoted[0].operand.origin}, which is float32, makes {named(promoted[0].site)} float32"
    values = {"float32": float(full), "total": float(total)}
    return [Found(message=message + ".", values=values, place=place_of(promoted[0].site) if promoted else None)]


CHECK = Check(
    code="AMP801",
    remedy="Make masks and buffers that meet activations of their type: `mask.to(x.dtype)`.",
    hears={DeepStepSeen: _seen},
)
