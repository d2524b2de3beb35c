"""AMP103: gradients are clipped while they still carry the loss scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..events import Clipping
from ..frameworks import framework
from ..gradients import SCALED
from ..phrases import of_scale, scale_value
from ..run import NOTHING, Check, Found
from ..scaling_events import GradientsTouched

if TYPE_CHECKING:
    from ..run import Findings, Run


def _clipping(event: Clipping, run: Run) -> Findings:
    if not run.scalers or not event.gradients:
        return None
    scaled = event.gradients.unused(SCALED)
    if not scaled or len(scaled) < sum(one.tensor() is not None for one in event.gradients):
        return NOTHING  # none of them, or a part: AMP104
    if framework(run, scaled[0].scaler):
        return NOTHING  # AMP505, AMP506
    return [clipped(event, scaled[0].scale)]


def clipped(event: Clipping, scale: float | None) -> Found:
    """Return what is to be said of gradients that are clipped while they carry this loss scale."""
    limit = float(event.limit)
    values = {"limit": limit} | ({} if scale is None else {"scale": scale})
    if event.norm is None:
        return Found(message=f"Gradients are clipped at {limit:g} while they carry the loss scale.", values=values)
    norm = float(event.norm)
    values["norm"] = norm
    said = f"Gradients are clipped at norm {limit:g} while they carry the loss scale"
    if scale is not None:
        values["true_norm"] = norm / scale if math.isfinite(norm) else norm
        said += f" {scale:g}: their norm reads {norm:.4g} and is {values['true_norm']:.4g}"
    return Found(message=said + ".", values=values)


def _touched(event: GradientsTouched, run: Run) -> Findings:
    """Hear a clip that the program has written itself."""
    if event.how != "clipped":
        return None
    scale = event.scale
    said = f"{event.count} gradients are clipped by their norm while they carry the loss scale{of_scale(scale)}."
    return [Found(message=said, values=scale_value(scale), place=event.at)]


CHECK = Check(
    code="AMP103",
    remedy="Call scaler.unscale_(optimizer) after backward and before clipping.",
    hears={Clipping: _clipping, GradientsTouched: _touched},
)
