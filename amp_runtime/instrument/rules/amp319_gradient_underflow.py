"""AMP319: a large share of the gradients computed in low precision is zero or subnormal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_SHARE = 0.25  # with a scale as a scaler finds it, a few in a hundred are zero


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    seen = [one for one in record.gradients if one.half == "float16" and one.compared]
    nonzero, zeroed, small = (sum(getattr(one, name) for one in seen) for name in ("nonzero", "zeroed", "subnormal"))
    if not nonzero or event.skipped:
        return None
    if zeroed < _SHARE * nonzero or run.alarmed(("AMP136", "AMP138", "AMP139")):
        return NOTHING  # or it is said that nothing scales the loss
    worst = max(seen, key=lambda one: one.zeroed / max(one.nonzero, 1))
    scale = "" if record.scale is None else f" at a loss scale of {record.scale:g}"
    message = (
        f"{zeroed / nonzero:.0%} of the gradients are zero in float16 and not in float32{scale}, most of all those of "
        f"{worst.name}; {small / nonzero:.0%} are subnormal."
    )
    values = {"nonzero": float(nonzero), "zeroed": float(zeroed), "subnormal": float(small)}
    return [Found(message=message, values=values)]


CHECK = Check(
    code="AMP319",
    remedy="Let the scale grow (a larger init_scale, a smaller growth_interval), or use bfloat16.",
    hears={DeepStepSeen: _seen},
)
