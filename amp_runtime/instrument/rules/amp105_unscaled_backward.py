"""AMP105: the scaler divides gradients whose loss was never scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, Unscaling
from ..frameworks import framework
from ..gradients import CLEAN, PLAIN
from ..phrases import line, of_scale, scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    return NOTHING if framework(run, id(event.scaler)) else unscaling(event, run)  # AMP504, AMP507


def unscaling(event: Unscaling, run: Run) -> Findings:
    """Return what is to be said where a scaler is about to unscale."""
    if event.healthy:
        return NOTHING
    held = [holding for holding in event.gradients.seen() if holding.state != CLEAN]
    there = [one for one in event.gradients.of(held) if one.tensor() is not None]
    if not there:
        return None
    if any(one.state != PLAIN for one in there):
        return NOTHING  # a part of them: AMP106
    scale = run.scale_of(id(event.scaler))
    message = (
        f"The backward at {line(there[0].place)} runs on a loss that is not scaled, and {line(event.place)} divides its"
        f" gradients by the loss scale{of_scale(scale)}."
    )
    return [Found(message=message, values=scale_value(scale), place=there[0].place)]


def _refused(event: ScalerRefused, run: Run) -> Findings:
    return NOTHING if framework(run, id(event.scaler)) else refused(event, run)


def refused(event: ScalerRefused, run: Run) -> Findings:
    """Return what is to be said where a scaler raises because it has never scaled."""
    if "_scale is None" not in str(event.error):
        return None
    plain = [one for one in event.gradients or run.gradients.all() if one.state == PLAIN]
    if not plain:
        return None
    message = (
        f"The backward at {line(plain[0].place)} runs on a loss that is not scaled, and scaler.{event.method} raises,"
        " as this scaler has never scaled anything."
    )
    return [Found(message=message, place=plain[0].place)]


CHECK = Check(
    code="AMP105",
    remedy="Start the backward from the scaled loss: scaler.scale(loss).backward().",
    hears={Unscaling: _unscaling, ScalerRefused: _refused},
)
