"""Keeps the steps of a run in bounded memory: the first, the last, and an evenly thinned middle."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .records import StepSeen

_ENDS = 200
_MIDDLE = 400


class Timeline:
    """Steps in order. Skipped, planted and deep steps are never thinned out, up to their own bound."""

    def __init__(self) -> None:
        self.skipped = 0
        self.deep = 0
        self._first: list[StepSeen] = []
        self._special: deque[StepSeen] = deque(maxlen=_MIDDLE)
        self._middle: list[StepSeen] = []
        self._last: deque[StepSeen] = deque(maxlen=_ENDS)
        self._every = 1

    def add(self, seen: StepSeen) -> None:
        self.skipped += seen.skipped and not seen.planted
        self.deep += seen.deep
        if len(self._first) < _ENDS:
            self._first.append(seen)
            return
        if seen.skipped or seen.planted or seen.deep:
            self._special.append(seen)
        elif seen.step % self._every == 0:
            self._middle.append(seen)
            if len(self._middle) > _MIDDLE:
                self._every *= 2
                self._middle = [kept for kept in self._middle if kept.step % self._every == 0]
        self._last.append(seen)

    def thinned(self) -> tuple[StepSeen, ...]:
        by_step = {seen.step: seen for part in (self._first, self._middle, self._special, self._last) for seen in part}
        return tuple(by_step[step] for step in sorted(by_step))
