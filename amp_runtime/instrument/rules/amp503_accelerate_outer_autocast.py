"""AMP503: `accelerator.autocast()` or `fabric.autocast()` spans several optimizer steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import StaleWeightsUsed
from ..run import Check
from .amp201_stale_autocast_weights import stale_after_step

if TYPE_CHECKING:
    from ..run import Findings, Run


def _used(event: StaleWeightsUsed, run: Run) -> Findings:
    region = event.write.region
    if event.write.what != "step" or region is None or event.stale == 0 or not region.via:
        return None
    return [stale_after_step(event, f"autocast of {region.via}")]


CHECK = Check(
    code="AMP503",
    remedy="Put only forward and loss into `with accelerator.autocast():`, anew for every batch.",
    hears={StaleWeightsUsed: _used},
)
