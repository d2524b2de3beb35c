"""AMP703: a GradScaler gets, by position, something that its parameter there is not."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from ..events import ScalerMade
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_NUMBERS = ("init_scale", "growth_factor", "backoff_factor", "growth_interval")


def misplaced(event: ScalerMade) -> str:
    """Return what is wrong with a positional argument; "" if nothing is."""
    names = list(inspect.signature(type(event.scaler).__init__).parameters)[1:]
    for name, value in zip(names, event.args, strict=False):
        if name == "device" and isinstance(value, (bool, int, float)):
            return f"{value!r} as device"
        if name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
            return f"{value!r} as {name}"
    return ""


def _made(event: ScalerMade, run: Run) -> Findings:
    what = misplaced(event)
    if not what:
        return NOTHING
    scaler = event.scaler
    state = f"its scale is {scaler.get_scale():g}" if scaler.is_enabled() else "it is disabled"
    return [Found(message=f"GradScaler gets {what}, by position; {state}.")]


CHECK = Check(
    code="AMP703",
    remedy='Name the arguments: torch.amp.GradScaler("cuda", enabled=..., init_scale=...).',
    hears={ScalerMade: _made},
)
