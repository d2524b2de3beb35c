"""AMP218: an autocast context is made with a type that it cannot cast to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..precision_events import AutocastMade
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_HALF = (torch.float16, torch.bfloat16)


def _made(event: AutocastMade, run: Run) -> Findings:
    if event.context is None or isinstance(event.dtype, bool):
        return None  # AMP702
    if not isinstance(event.dtype, torch.dtype):
        return [Found(message=f"Autocast gets {event.dtype!r} as its dtype, and raises when it is entered.")]
    if not event.asked or event.enabled or event.dtype in _HALF or event.device == "cuda":
        return NOTHING
    dtype = str(event.dtype).removeprefix("torch.")
    return [Found(message=f"Autocast on {event.device} cannot cast to {dtype}: torch has turned it off.")]


CHECK = Check(
    code="AMP218",
    remedy="Give dtype=torch.bfloat16 or torch.float16, or enabled=False to turn autocast off.",
    hears={AutocastMade: _made},
)
