"""AMP110: a scaler is updated between a backward and the step that divides by its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Unscaling
from ..gradients import MIXED, SCALE_CHANGED, SCALED
from ..phrases import kind, line, of_scale, share
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    if event.healthy:
        return NOTHING
    seen = run.scalers[id(event.scaler)]
    held = [one for one in event.gradients.seen() if one.scaler == id(event.scaler) and not one.used]
    if not held:
        return None
    early = event.gradients.of(one for one in held if one.state == SCALED and one.update != seen.updates)
    changed = event.gradients.of(one for one in held if one.state == MIXED and one.reason == SCALE_CHANGED)
    if not early and not changed:
        return NOTHING
    before, now = (early or changed)[0].scale, run.scale_of(id(event.scaler))
    values = {} if before is None or now is None else {"scale": before, "divided_by": now}
    said = "another scale" if not values else f"the scale {now:g}"
    message = (
        f"scaler.update() at {line(seen.updated_at)} comes between a backward and its step:"
        f" {share(early + changed, event.gradients)} of {kind(event.optimizer)} carry the loss scale{of_scale(before)}"
        f" and are divided by {said}."
    )
    return [Found(message=message, values=values, place=seen.updated_at)]


CHECK = Check(
    code="AMP110",
    remedy="Call scaler.update() once, after the steps of all optimizers.",
    hears={Unscaling: _unscaling},
)
