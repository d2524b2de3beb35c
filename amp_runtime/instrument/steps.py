"""Finds the training steps of a program that nobody has marked."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from .events import StepEnded

if TYPE_CHECKING:
    from .run import Run


class Steps:
    """A step ends when all optimizers of the program were stepped, or left out by their scaler, and it was updated.

    Which optimizers belong to one step is learnt: one that comes back before the others means that the others are not
    part of every step (a discriminator trained five times for each generator step makes five steps).
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._expected: set[int] = set()
        self._done: dict[int, tuple[weakref.ref[Any], bool]] = {}  # stepped in the running step -> skipped
        self._waits_for_update = False
        self.losses: list[tuple[Any, float | None]] = []  # detached roots, and the scale they carry; None: unknown

    def optimizer_stepped(self, optimizer: Any, *, skipped: bool, scaled: bool) -> None:
        key = id(optimizer)
        if key in self._done:
            self._expected = set(self._done)
            self._end()
        self._expected.add(key)
        self._done[key] = (weakref.ref(optimizer), skipped)
        self._waits_for_update = self._waits_for_update or scaled
        self._end_if_complete()

    def updated(self) -> None:
        self._waits_for_update = False
        self._end_if_complete()

    def finish(self) -> None:
        """Count what was stepped and never updated as a step too: the program has ended."""
        if self._done:
            self._end()

    def _end_if_complete(self) -> None:
        if self._done and not self._waits_for_update and self._expected <= set(self._done):
            self._end()

    def _end(self) -> None:
        run = self._run
        optimizers = [(found(), skipped) for found, skipped in self._done.values()]
        self._done.clear()
        self._waits_for_update = False
        event = StepEnded(
            place=run.place(),
            step=run.step,
            optimizers=[optimizer for optimizer, _skipped in optimizers],
            skipped=[optimizer for optimizer, skipped in optimizers if skipped],
            losses=[loss for loss, _scale in self.losses],
        )
        if run.resting:
            run.tell(event)
            if event.skipped:
                run.look_closer()
        else:
            run.emit(event)
        run.end_step(loss=self._loss(), skipped=bool(event.skipped))
        self.losses.clear()
        for listener in run.after_step:  # last, as one of them may end the program here
            listener(event.step)

    def _loss(self) -> float | None:
        """Return the sum of the roots, so that micro-batches whose losses are divided add up to their mean."""
        self._run.local.quiet += 1  # reading a number is nothing that the program does
        try:
            return self._sum()
        finally:
            self._run.local.quiet -= 1

    def _sum(self) -> float | None:
        total = 0.0
        for loss, scale in self.losses:
            if scale is None or not self._run.reads(loss) or loss.numel() != 1:
                return None
            total += float(loss) / scale
        return total if self.losses else None
