"""AMP201: one autocast context spans several optimizer steps, so later forwards use weights it cached before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import StaleWeightsUsed
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _used(event: StaleWeightsUsed, run: Run) -> Findings:
    region = event.write.region
    if event.write.what != "step" or region is None or event.stale == 0:
        return None
    if region.via or region.generator is not None:
        return NOTHING  # AMP503 or AMP205
    return [stale_after_step(event, "autocast")]


def stale_after_step(event: StaleWeightsUsed, context: str) -> Found:
    """Return what is to be said of a context, of torch or of a framework, that was open over several steps."""
    write, region = event.write, event.write.region
    message = (
        f"{event.stale} of {event.casts} weights that this forward used under {context} are half copies from before "
        f"{write.name}.step() at line {write.place[1]}: the context stays open over the steps, and so does its cache."
    )
    values = {"stale": float(event.stale), "weights": float(event.casts)}
    return Found(message=message, values=values, place=region.place if region is not None else None)


CHECK = Check(
    code="AMP201",
    remedy="Enter a new autocast context for every forward, and leave it before backward and step.",
    hears={StaleWeightsUsed: _used},
)
