"""AMP702: an autocast context gets, by position, something that its parameter there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..precision_events import AutocastMade
from ..run import NOTHING, Check, Found
from .amp211_autocast_missing_parens import FUNCTIONS

if TYPE_CHECKING:
    from ..run import Findings, Run

_NEW = ("device_type", "dtype", "enabled", "cache_enabled")


def mistaken(event: AutocastMade) -> str:
    """Return what is wrong with a positional argument; "" if nothing is."""
    old = event.kind != "torch.autocast"
    names = ("enabled", "dtype", "cache_enabled") if old else _NEW
    for name, value in zip(names, event.args, strict=False):
        if name == "device_type" and not isinstance(value, (str, torch.device, *FUNCTIONS)):
            return f"{value!r} as device_type"
        if name == "dtype" and isinstance(value, bool):
            return f"{value!r} as dtype"
        if name in ("enabled", "cache_enabled") and isinstance(value, (str, torch.dtype, torch.device)):
            return f"{value!r} as {name}"
    return ""


def _made(event: AutocastMade, run: Run) -> Findings:
    what = mistaken(event)
    return [Found(message=f"{event.kind} gets {what}, by position.")] if what else NOTHING


CHECK = Check(
    code="AMP702",
    remedy="Name the arguments: torch.amp.autocast(device_type, dtype=..., enabled=...).",
    hears={AutocastMade: _made},
)
