"""AMP134: a GradScaler is made or updated with a value with which it cannot work."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import torch

from ..events import ScalerMade, ScalerRefused, ScalerUpdated
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _made(event: ScalerMade, run: Run) -> Findings:
    given = _given(event)
    if given.get("enabled", True) is False:
        return None
    wrong = _wrong(given)
    if wrong is None:
        return NOTHING
    name, why = wrong
    values = {name: float(given[name])} if isinstance(given[name], (int, float)) else {}
    return [Found(message=f"The scaler is made with {name}={given[name]!r}: {why}.", values=values)]


def _given(event: ScalerMade) -> dict[str, Any]:
    """Return the arguments by name. A first one by position that is no device, or is a flag, is for AMP703."""
    names = list(inspect.signature(type(event.scaler).__init__).parameters)[1:]
    given = dict(zip(names, event.args, strict=False)) | event.kwargs
    if event.args:
        first = given[names[0]]
        if isinstance(first, bool) or isinstance(first, str) is (names[0] != "device"):
            del given[names[0]]
    return given


def _wrong(given: dict[str, Any]) -> tuple[str, str] | None:
    scale, interval = given.get("init_scale", 1.0), given.get("growth_interval", 1)
    growth, backoff = given.get("growth_factor", 2.0), given.get("backoff_factor", 0.5)
    if isinstance(scale, bool) or not (0 < scale < math.inf):
        return "init_scale", "a loss scale is a positive, finite number"
    if isinstance(interval, bool) or interval < 1:
        return "growth_interval", "the scale never grows again"
    if not 0 < backoff < 1:
        return "backoff_factor", "the scale cannot fall as it should"
    if not 1 < growth < math.inf:
        return "growth_factor", "the scale cannot grow as it should"
    if not isinstance(given.get("device", ""), (str, torch.device)):
        return "device", "that is no device"
    if isinstance(given.get("enabled", True), str):
        return "enabled", "every text is true"
    return None


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if event.method == "__init__":
        return [Found(message=f"The scaler refuses what it is made with: {event.error}")]
    if event.method == "update" and isinstance(event.error, AttributeError):
        return [Found(message="scaler.update raises: a new scale must be a float or a tensor, not a whole number.")]
    return None


def _updated(event: ScalerUpdated, run: Run) -> Findings:
    if event.new_scale is None or event.after is None:
        return None
    if 0 < event.after < math.inf:
        return NOTHING
    message = f"scaler.update sets the loss scale to {event.after:g}; it must be a positive, finite number."
    return [Found(message=message, values={"scale": event.after})]


CHECK = Check(
    code="AMP134",
    remedy="Pass by keyword what the scaler can work with, such as init_scale=2.0**16.",
    hears={ScalerMade: _made, ScalerRefused: _refused, ScalerUpdated: _updated},
)
