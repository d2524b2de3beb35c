"""AMP104: gradients are clipped together, some unscaled and some not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Clipping
from ..gradients import SCALED
from ..phrases import of_scale, scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _clipping(event: Clipping, run: Run) -> Findings:
    if not event.gradients or not run.scalers:
        return None
    scaled = event.gradients.unused(SCALED)
    if not scaled:
        return NOTHING
    there = [one for one in event.gradients if one.tensor() is not None]
    if len(scaled) == len(there):
        return NOTHING  # all of them: AMP103
    scale = scaled[0].scale
    limit = float(event.limit)
    message = (
        f"Gradients are clipped at {limit:g} together, and {len(scaled)} of {len(there)} still carry the loss"
        f" scale{of_scale(scale)}"
    )
    values = {"limit": limit, "scaled": float(len(scaled)), "gradients": float(len(there)), **scale_value(scale)}
    if event.norm is not None:
        values["norm"] = float(event.norm)
        message += f", so their norm reads {values['norm']:.4g}"
    return [Found(message=message + ".", values=values)]


CHECK = Check(
    code="AMP104",
    remedy="Call scaler.unscale_ for every optimizer whose parameters are clipped, before clipping.",
    hears={Clipping: _clipping},
)
