"""AMP212: an autocast context is called on a module, which makes a plain function of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..precision_events import AutocastApplied
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _applied(event: AutocastApplied, run: Run) -> Findings:
    if not isinstance(event.target, torch.nn.Module):
        return NOTHING
    name = type(event.target).__name__
    message = f"autocast is called on the module {name} and returns a function: its parameters and state are gone."
    return [Found(message=message)]


CHECK = Check(
    code="AMP212",
    remedy="Enter autocast where the module is called, or decorate its forward.",
    hears={AutocastApplied: _applied},
)
