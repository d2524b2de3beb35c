"""Decides when the gradients of a backward are followed, and makes of it what is known of them afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from .events import GradientsEdited
from .gradients import SCALED, UNKNOWN
from .looking import Look

if TYPE_CHECKING:
    from types import FrameType

    from .gradients import Gradient
    from .run import Run

_OPTIMIZERS = f"{Path(torch.optim.__file__).parent}{os.sep}"


class Window:
    """From the end of a backward until its gradients are unscaled, clipped, used, or a forward begins."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._resting: Look | None = None  # could not be left yet, as a mode of the program lies on it
        self.look: Look | None = None
        self.asked = False  # the program has asked for a loss scale meanwhile

    def open(self, gradients: list[Gradient]) -> None:
        """Follow what the program does with those of these gradients that are scaled."""
        self.asked = False
        scaled = [one for one in gradients if one.state == SCALED]
        if scaled and self._run.close and Look.possible() and not _in_optimizer():
            self.look = Look(self._run, (one.tensor() for one in scaled), scaled[0].scale)
            self.look.enter()

    def close(self, *, clipped: bool = False) -> None:
        """Look no more, and tell what was seen. `clipped`: a clip follows, which is told by itself."""
        if self._resting is not None and self._resting.leave():
            self._resting = None
        look, self.look = self.look, None
        if look is None:
            return
        if not look.leave():
            self._resting = look
        place = self._run.place()
        for event in look.events(clipped=clipped, asked=self.asked):
            event.place = place
            self._run.emit(event)

    def edits(
        self, gradients: list[Gradient], before: Literal["unscale", "clip", "step"], place: tuple[str, int]
    ) -> None:
        """Tell of gradients that the program has written since they were last looked at, and close."""
        edited = self._run.gradients.edited(gradients) if self._run.close else []
        for gradient in edited:
            if self.look is None or self.look.state(gradient.tensor()) == "unknown":
                gradient.state, gradient.edited = UNKNOWN, True
        self.close(clipped=before == "clip")
        if edited:
            self._run.emit(GradientsEdited(place=place, step=self._run.step, gradients=edited, before=before))


def _in_optimizer() -> bool:
    """Whether a closure runs, whose gradients the optimizer reads itself."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OPTIMIZERS):
            return True
        frame = frame.f_back
    return False
