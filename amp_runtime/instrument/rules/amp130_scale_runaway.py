"""AMP130: the loss scale grows without end, as nothing overflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerUpdated
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_MOST = 2.0**40
_CAUSES = ("AMP135", "AMP137")


def _updated(event: ScalerUpdated, run: Run) -> Findings:
    if event.after is None or event.before is None:
        return None
    if event.after <= _MOST or event.after <= event.before or run.alarmed(_CAUSES):
        return NOTHING
    message = (
        f"The loss scale has grown to {event.after:.4g}: no gradient overflows float16, so there is nothing to scale."
    )
    return [Found(message=message, values={"scale": event.after})]


CHECK = Check(
    code="AMP130",
    remedy="Switch the scaler off where nothing runs in float16: GradScaler(device, enabled=False).",
    hears={ScalerUpdated: _updated},
)
