"""When the loss scale changed and why, told from the scale of each step without waiting for the device at each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

_log = logging.getLogger(__name__)

_BATCH = 256  # steps between two readings of the device
_RUNAWAY = 2.0**40


@dataclass(frozen=True, slots=True)
class ScaleChange:
    """A step that was the first with another loss scale.

    Args:
        step: its number among the scaled steps, from 1.
        scale: the factor on its loss.
        cause: `"start"`, `"growth"` after enough good steps in a row, `"overflow"` after a skipped step, or
            `"restored"` where the state of another program's scaler was taken over.
    """

    step: int
    scale: float
    cause: str


class ScaleHistory:
    """The changes of one loss scale. Steps are added as 0-dim tensors and read in batches."""

    def __init__(self) -> None:
        self._steps = 0
        self._changes: list[ScaleChange] = []
        self._unread: list[torch.Tensor] = []
        self._restored = False
        self._warned = False

    def add(self, scale: torch.Tensor) -> None:
        """Note the scale of the next step, a 0-dim tensor that nobody changes any more."""
        self._unread.append(scale)
        if len(self._unread) >= _BATCH:
            self._read()

    def changes(self) -> tuple[ScaleChange, ...]:
        """Every change so far, oldest first. Waits for the device."""
        self._read()
        return tuple(self._changes)

    def _read(self) -> None:
        if not self._unread:
            return
        scales: list[float] = torch.stack(self._unread).tolist()
        self._unread.clear()
        for scale in scales:
            self._steps += 1
            before = self._changes[-1].scale if self._changes else None
            if scale != before:
                self._changes.append(ScaleChange(step=self._steps, scale=scale, cause=self._cause(before, scale)))
            self._restored = False
        self._warn_of_runaway(scales[-1])

    def _cause(self, before: float | None, scale: float) -> str:
        if self._restored:
            return "restored"
        return "start" if before is None else "growth" if scale > before else "overflow"

    def _warn_of_runaway(self, scale: float) -> None:
        if scale >= _RUNAWAY and not self._warned:
            self._warned = True
            _log.warning(
                "the loss scale has grown to %g, which no float16 gradient would survive: nothing is computed in "
                "float16, so loss scaling does nothing here until it overflows; drop it",
                scale,
            )

    def state_dict(self) -> list[list[Any]]:
        """Return plain data for a checkpoint: the number of steps, then each change."""
        changes = self.changes()
        return [[self._steps], *([c.step, c.scale, c.cause] for c in changes)]

    def load_state_dict(self, state: Sequence[Sequence[Any]]) -> None:
        """Go on after a history that `state_dict` returned; an empty one begins with a restored scale."""
        self._steps = int(state[0][0]) if state else 0
        self._changes = [ScaleChange(step=step, scale=scale, cause=cause) for step, scale, cause in state[1:]]
        self._unread.clear()
        self._restored = not state
