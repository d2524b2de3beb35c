"""AMP209: autocast is on for a device that the tensors are not on, or gets an object instead of a device's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..events import AutocastEntered, BackwardStarting
from ..precision_events import AutocastMade
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _made(event: AutocastMade, run: Run) -> Findings:
    first = event.args[0] if event.args else event.kwargs.get("device_type")
    if isinstance(first, torch.device) and event.context is None:
        message = f"torch.autocast gets the object {first!r} where it takes the name of a device's type, and raises."
        return [Found(message=message)]
    return None


def _entered(event: AutocastEntered, run: Run) -> Findings:
    if event.asked and not event.via:
        run.memory("AMP209").setdefault("asked", {})[event.device] = event.place
    return None


def _starting(event: BackwardStarting, run: Run) -> Findings:
    """Compare the devices autocast was asked for since the last backward with the one that this backward is on."""
    asked: dict[str, tuple[str, int]] = run.memory("AMP209").get("asked", {})
    if not asked or not event.roots:
        return None
    device = event.roots[0].device.type
    found = []
    if device not in asked:
        for name, place in asked.items():
            message = f"Autocast is entered for {name}, but the training is on {device}: nothing is cast."
            found.append(Found(message=message, place=place))
    asked.clear()
    return found or NOTHING


CHECK = Check(
    code="AMP209",
    remedy="Give autocast the type of the device that the tensors are on: torch.autocast(x.device.type).",
    hears={AutocastMade: _made, AutocastEntered: _entered, BackwardStarting: _starting},
)
