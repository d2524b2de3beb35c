"""AMP701: names of torch.cuda.amp or torch.cpu.amp are used that torch.amp has replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerMade
from ..precision_events import AutocastMade
from ..run import NOTHING, Check, Found
from .amp211_autocast_missing_parens import FUNCTIONS
from .amp702_autocast_positional_arg import mistaken
from .amp703_gradscaler_positional_arg import misplaced

if TYPE_CHECKING:
    from ..run import Findings, Run


def _context(event: AutocastMade, run: Run) -> Findings:
    if event.kind == "torch.autocast" or event.via:
        return None
    if mistaken(event) or (event.args and isinstance(event.args[0], FUNCTIONS)):
        return NOTHING  # AMP702, AMP211
    device = event.kind.split(".")[1]
    return [Found(message=f'{event.kind} is deprecated; its successor is torch.amp.autocast("{device}").')]


def _scaler(event: ScalerMade, run: Run) -> Findings:
    if not event.deprecated or run.frames.via():
        return None
    if misplaced(event):
        return NOTHING  # AMP703
    name = type(event.scaler).__module__.removesuffix(".grad_scaler")
    device = name.split(".")[1]
    return [Found(message=f'{name}.GradScaler is deprecated; its successor is torch.amp.GradScaler("{device}").')]


CHECK = Check(
    code="AMP701",
    remedy="Use torch.amp with the device as first argument and everything else by keyword.",
    hears={AutocastMade: _context, ScalerMade: _scaler},
)
