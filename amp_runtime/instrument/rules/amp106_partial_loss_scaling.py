"""AMP106: only a part of a loss is scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Unscaling
from ..gradients import CLEAN, MIXED, PARTLY, PLAIN, PLAIN_ADDED
from ..phrases import line, scale_value, share
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    if event.healthy:
        return NOTHING
    held = [holding for holding in event.gradients.seen() if holding.state != CLEAN]
    there = [one for one in event.gradients.of(held) if one.tensor() is not None]
    if not there:
        return None
    plain = [one for one in there if one.state == PLAIN]
    mixed = [one for one in there if one.state == MIXED and one.reason in (PARTLY, PLAIN_ADDED)]
    if not mixed and (not plain or len(plain) == len(there)):
        return NOTHING  # all of them: AMP105
    first = (mixed or plain)[0]
    scale = run.scale_of(id(event.scaler))
    part = "1/scale" if scale is None else f"1/{scale:g}"
    message = (
        f"The backward at {line(first.place)} adds a loss that is not scaled to {share(mixed + plain, there)}, which"
        f" {line(event.place)} divides by the loss scale: that part counts {part} of what it should."
    )
    return [Found(message=message, values=scale_value(scale), place=first.place)]


CHECK = Check(
    code="AMP106",
    remedy="Add all parts of the loss first, and scale their sum.",
    hears={Unscaling: _unscaling},
)
