"""Watch project code with the sanitizer, and report what it saw with paths that mean something to a reader."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..instrument.records import Alarm, Frame, SanitizerReport
    from ..instrument.sanitizer import Sanitizer
    from .child import Reporter
    from .failure import Project

_TELL_EVERY_S = 0.5
_COST = "AMP8"  # an emulated device says nothing of speed: it casts in a cell what cuDNN casts once, and never waits


@contextlib.contextmanager
def watched(
    root: str, reporter: Reporter, after_step: Callable[[int], None] | None = None, *, faults: bool = False
) -> Iterator[Progress]:
    """Watch what runs inside, if this environment has torch, and report it even where that raises.

    What was seen so far is reported along the way too, for a program that is killed or never ends.

    Args:
        after_step: told the number of each training step when it is over; may raise to end the program.
        faults: an overflow and a batch with a NaN are planted.
    """
    progress = Progress(reporter, after_step)
    if sys.modules.get("torch") is None:
        yield progress
        return
    from ..emulation.state import is_emulating  # noqa: PLC0415
    from ..instrument.faults import Plan  # noqa: PLC0415 - these need torch
    from ..instrument.looks import Looks  # noqa: PLC0415
    from ..instrument.sanitizer import Sanitizer, all_checks  # noqa: PLC0415

    checks = [check for check in all_checks() if not (is_emulating() and check.code.startswith(_COST))]
    sanitizer = Sanitizer(roots=(root,), checks=checks, faults=Plan() if faults else None, looks=Looks())
    progress.sanitizer = sanitizer
    sanitizer.run.after_step.append(progress.step)
    sanitizer.start()
    try:
        yield progress
    finally:
        progress.over = True
        sanitizer.stop()
        reporter.item(placed(sanitizer.report(), reporter.project))


class Progress:
    """What is told while the program trains."""

    def __init__(self, reporter: Reporter, after_step: Callable[[int], None] | None) -> None:
        self.over = False
        self.devices: tuple[str, ...] = ()
        self.sanitizer: Sanitizer | None = None
        self._reporter = reporter
        self._after_step = after_step
        self._told_at = 0.0
        self._alarms = 0

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Let what the harness itself does inside a step not be taken for the program's."""
        if self.sanitizer is None:
            yield
            return
        local = self.sanitizer.run.local
        local.quiet += 1
        try:
            yield
        finally:
            local.quiet -= 1

    def step(self, step: int) -> None:
        if self.over or self.sanitizer is None:
            return
        self.devices = self.devices or devices_of(self.sanitizer)
        alarms = len(self.sanitizer.alarms)
        if alarms > self._alarms:
            self._alarms = alarms
            self._reporter.item(placed(self.sanitizer.report(), self._reporter.project))
        now = time.monotonic()
        if self._after_step is not None:
            if now - self._told_at > _TELL_EVERY_S:
                self._told_at = now
                self._reporter.phase(f"training, after step {step}")
            self._after_step(step)


def devices_of(sanitizer: Sanitizer) -> tuple[str, ...]:
    """Return where the parameters of the optimizers lie that were stepped."""
    optimizers = [found for reference in sanitizer.run.optimizers.values() if (found := reference()) is not None]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return tuple(sorted({str(parameter.device) for group in groups for parameter in group["params"]}))


def placed(report: SanitizerReport, project: Project) -> SanitizerReport:
    """Return the report with the project's own files relative to its root; other paths stay absolute."""
    looked = {
        code: tuple(dict.fromkeys(f"{_shown(path, project)}:{line}" for path, _, line in map(_split, places)))
        for code, places in report.watched.looked.items()
    }
    return replace(
        report,
        watched=replace(report.watched, looked=looked),
        alarms=tuple(_placed(alarm, project) for alarm in report.alarms),
    )


def _split(place: str) -> tuple[str, str, str]:
    return place.rpartition(":")


def _placed(alarm: Alarm, project: Project) -> Alarm:
    return replace(alarm, frames=tuple(_frame(frame, project) for frame in alarm.frames))


def _frame(frame: Frame, project: Project) -> Frame:
    return replace(frame, path=_shown(frame.path, project))


def _shown(path: str, project: Project) -> str:
    return project.relative(path) or path
