"""Choose the training steps that are looked into operator by operator, and begin and end each look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .deep.watch import DeepWatch
from .events import AutocastEntered, StepEnded
from .precision_events import DeepStepSeen

if TYPE_CHECKING:
    from .deep.records import DeepStep
    from .events import Event
    from .run import Run

_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Which steps, from 1, are looked into.

    The first step of a program is not: what it builds and warms up is not what it does later. A step that is looked
    into takes several times as long, so one in `every` keeps the cost of a run low.

    Args:
        first: steps from the second on. every: then each so-manieth; 0: none.
        after_trouble: at most so many of the steps that follow one which was skipped or raised a new alarm.

    Raises:
        ValueError: a negative figure.
    """

    first: int = 1
    every: int = 200
    after_trouble: int = 3

    def __post_init__(self) -> None:
        for name in ("first", "every", "after_trouble"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number from 0 on, not {value!r}")

    def chosen(self, step: int) -> bool:
        """Whether a step's turn comes by its number alone."""
        return 2 <= step < 2 + self.first or (self.every > 0 and step % self.every == 0)


class Looking:
    """Begins a look where the forward pass of a chosen step begins, and ends it with the step.

    So loading data and evaluating before it are not looked into. The look begins with the first autocast region or
    module call that has gradients on.
    """

    def __init__(self, run: Run, looks: Looks, roots: tuple[str, ...]) -> None:
        self._run = run
        self._looks = looks
        self._watch = DeepWatch(roots=roots)
        self._hook: Any = None
        self._troubled = 0
        self._alarms = 0
        self.records: list[tuple[int, DeepStep]] = []
        run.listeners.append(self._hear)
        self._await(1)

    def stop(self) -> None:
        """End a look that is under way; the step did not come to its end."""
        self._forget()
        if self._watch.watching:
            self._watch.stop()
        self._watch.settle()

    def _hear(self, event: Event) -> None:
        if isinstance(event, AutocastEntered):
            if self._hook is not None:
                self._begin()
        elif isinstance(event, StepEnded):
            self._end(event)
            self._await(event.step + 1, skipped=bool(event.skipped) and not self._run.planted)

    def _await(self, step: int, *, skipped: bool = False) -> None:
        troubled = (self._new_alarm() or skipped) and self._troubled < self._looks.after_trouble
        self._troubled += troubled
        if troubled or self._looks.chosen(step):
            self._run.look_closer(trouble=False)
            self._hook = torch.nn.modules.module.register_module_forward_pre_hook(self._called)

    def _new_alarm(self) -> bool:
        alarms, before = len(self._run.alarms()), self._alarms
        self._alarms = alarms
        return alarms > before

    def _called(self, module: torch.nn.Module, _args: Any) -> None:
        if not self._run.muted and module.training:
            self._begin()

    def _begin(self) -> None:
        if not torch.is_grad_enabled() or self._run.local.backward:
            return
        self._forget()
        if reason := self._watch.start():
            self._run.problem(f"a step could not be looked into: {reason}")
        else:
            self._run.deep = True

    def _end(self, event: StepEnded) -> None:
        self._forget()
        if not self._watch.watching:
            return
        record = self._watch.stop()
        if len(self.records) < _KEPT:
            self.records.append((event.step, record))
        for problem in record.problems:
            self._run.problem(problem)
        self._run.emit(DeepStepSeen(place=event.place, step=event.step, record=record, skipped=bool(event.skipped)))

    def _forget(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
