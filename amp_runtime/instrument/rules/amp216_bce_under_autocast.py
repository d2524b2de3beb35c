"""AMP216: binary cross entropy of probabilities is computed under autocast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import LossCalled
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _called(event: LossCalled, run: Run) -> Findings:
    if event.name != "binary_cross_entropy":
        return None
    if not event.enabled:
        return NOTHING
    given = event.input
    dtype = str(given.dtype).removeprefix("torch.")
    message = f"binary_cross_entropy of {dtype} probabilities runs under autocast, which CUDA refuses."
    values = {}
    if run.close and given.device.type == "cpu" and given.numel():
        rounded = float(((given == 0) | (given == 1)).float().mean())
        values["rounded"] = rounded
        message += f" {rounded:.0%} of them are exactly 0 or 1, where its gradient is not finite or wrong."
    return [Found(message=message, values=values)]


CHECK = Check(
    code="AMP216",
    remedy="Leave the sigmoid out and use binary_cross_entropy_with_logits.",
    hears={LossCalled: _called},
)
