"""Decides when the gradients of a backward are followed, and makes of it what is known of them afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from .events import GradientsEdited
from .gradients import SCALED, UNKNOWN, Group
from .looking import Look

if TYPE_CHECKING:
    from types import FrameType

    from .gradients import Part
    from .run import Run

_TORCH = Path(torch.__file__).parent
_OPTIMIZERS = f"{_TORCH / 'optim'}{os.sep}"
# inside these torch puts back the dispatch state of their beginning when they end: no place to take a mode away
_RESTORING = tuple(
    f"{_TORCH / part}"
    for part in ("_dynamo", "_functorch", "_compile.py", "autograd/function.py", "utils/checkpoint.py")
)


class Window:
    """From the end of a backward until its gradients are unscaled, clipped, used, or a forward begins."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._resting: Look | None = None  # could not be left yet, as a mode of the program lies on it
        self.look: Look | None = None
        self.asked = False  # the program has asked for a loss scale meanwhile
        self.compiles = False  # compiled code steps back before a mode, and then computes other bits: none is entered

    def open(self, changed: list[Part]) -> None:
        """Follow what the program does with those of these gradients that are scaled."""
        self.asked = False
        scaled = [one for part in changed if part.holding.state == SCALED for one in part.gradients()]
        if not scaled or not self._run.close or not Look.possible() or self.compiles or _within(_OPTIMIZERS):
            return  # the gradients of a closure are read by the optimizer
        self.look = Look(self._run, (one.tensor() for one in scaled), scaled[0].scale)
        self.look.enter()

    def close(self, *, clipped: bool = False) -> None:
        """Look no more, and tell what was seen. `clipped`: a clip follows, which is told by itself."""
        look, self.look = self.look, None
        if (look or self._resting) is None:
            return
        self._leave(look)
        if look is None:
            return
        place = self._run.place()
        for event in look.events(clipped=clipped, asked=self.asked):
            event.place = place
            self._run.emit(event)

    def _leave(self, look: Look | None) -> None:
        """Take the mode away as soon as that can be done."""
        self._resting = look or self._resting
        if look is not None:
            look.live = False
        if self._resting is not None and not _within(*_RESTORING) and self._resting.leave():
            self._resting = None

    def edits(self, gradients: Group, before: Literal["unscale", "clip", "step"], place: tuple[str, int]) -> None:
        """Tell of gradients that the program has written since they were last looked at, and close."""
        edited = self._run.gradients.edited(gradients) if self._run.close else Group(self._run.gradients)
        look = self.look
        unknown = (one for one in edited if look is None or look.state(one.tensor()) == "unknown")
        for holding in Group(self._run.gradients, unknown).own():
            holding.state, holding.edited = UNKNOWN, True
        self.close(clipped=before == "clip")
        if edited:
            self._run.emit(GradientsEdited(place=place, step=self._run.step, gradients=edited, before=before))


def _within(*folders: str) -> bool:
    """Whether code of one of these is being run."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(folders):
            return True
        frame = frame.f_back
    return False
