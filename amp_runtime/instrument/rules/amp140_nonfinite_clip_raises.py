"""AMP140: clipping raises where the scaler would leave the step out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Clipping
from ..run import NOTHING, Check, Found
from ..scaling_events import ClipRaised

if TYPE_CHECKING:
    from ..run import Findings, Run


_MESSAGE = (
    "error_if_nonfinite=True ends the training at the next gradient that overflows, which the scaler would skip without"
    " harm."
)


def _clipping(event: Clipping, run: Run) -> Findings:
    if not any(one.scaler for one in event.gradients.seen()):
        return None
    if not event.nonfinite_raises:
        return NOTHING
    return [Found(message=_MESSAGE, values={"norm": float(event.norm)})]


def _raised(event: ClipRaised, run: Run) -> Findings:
    if not any(one.scaler for one in event.gradients):
        return None
    return [Found(message="Clipping raised on gradients that overflowed, which the scaler would have skipped.")]


CHECK = Check(
    code="AMP140",
    remedy="Leave error_if_nonfinite out: scaler.step looks for gradients that are not finite and skips by itself.",
    hears={Clipping: _clipping, ClipRaised: _raised},
)
