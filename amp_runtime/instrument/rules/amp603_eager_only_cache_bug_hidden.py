"""AMP603: only because the model is compiled does training not use stale weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import StaleWeightsUsed
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _used(event: StaleWeightsUsed, run: Run) -> Findings:
    region = event.write.region
    if event.graph is None or not event.graph.compiled or region is None:
        return None
    if event.stale or region.generator is not None:
        return NOTHING
    message = (
        f"An autocast context stays open over {event.write.name}.step(). The compiled model casts its weights anew in "
        "every forward; the same model run eagerly would go on with the weights of the first one."
    )
    return [Found(message=message, place=region.place)]


CHECK = Check(
    code="AMP603",
    remedy="Enter a new autocast context for every forward, and check training with the model that is not compiled.",
    hears={StaleWeightsUsed: _used},
)
