"""The sanitizer as one uses it: `with amp_sanitizer() as watching: train()`."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import rules as rule_package
from .events import RunEnded
from .faults import Faults, Plan
from .looks import Looking, Looks
from .patches import Patches
from .run import Check, Run
from .summary import summary
from .trace import Trace
from .tracking import Tracked
from .watch import (
    anomalies,
    autocast,
    backward,
    clipping,
    contexts,
    hooks,
    lightning_hooks,
    losses,
    modules,
    optimizers,
    ranks,
    readings,
    scaler,
    schedulers,
    states,
    threads,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from .deep.records import DeepStep
    from .records import Alarm, SanitizerReport
    from .tracking import Tracks


_PARTS = (
    anomalies,
    autocast,
    contexts,
    scaler,
    readings,
    backward,
    hooks,
    ranks,
    clipping,
    schedulers,
    states,
    modules,
    losses,
    threads,
    lightning_hooks,
)


class Sanitizer:
    """Watches every training step of this process between `start` and `stop`. Changes no number that it computes.

    Args:
        roots: folders of the program, for choosing the line an alarm names; empty: whatever is no installed package.
        checks: which hazards are looked for; None: all that are known.
        faults: what is planted, and when; None: nothing is.
        looks: which steps are looked into operator by operator; None: none is.
        trace: a file to which every event is written as a JSON line.
        tracker: gets the loss scale and the counts of skipped steps and alarms after each step; one of
            amp_runtime.trackers, for example.

    Raises:
        RuntimeError: another sanitizer is already watching this process.
    """

    watching: Sanitizer | None = None  # the one that watches this process

    def __init__(
        self,
        *,
        roots: Sequence[str] = (),
        checks: Sequence[Check] | None = None,
        faults: Plan | None = None,
        looks: Looks | None = None,
        trace: str | Path | None = None,
        tracker: Tracks | None = None,
    ) -> None:
        self.run = Run(all_checks() if checks is None else checks, tuple(roots))
        self._patches = Patches()
        self._handles: list[Any] = []
        self._plan = faults
        self._faults: Faults | None = None
        self._looks = looks
        self._roots = tuple(roots)
        self._looking: Looking | None = None
        self._trace_path = trace
        self._trace: Trace | None = None
        self._tracker = tracker

    def start(self) -> None:
        if Sanitizer.watching is not None:
            raise RuntimeError("this process is already being watched; use the report of the sanitizer that runs")
        if self._trace_path is not None:
            self._trace = Trace(self.run, self._trace_path)
        Sanitizer.watching = self
        for part in _PARTS:
            part.install(self.run, self._patches)
        self._handles = optimizers.install(self.run, self._patches)
        if self._plan is not None:
            self._faults = Faults(self.run, self._plan)
        if self._looks is not None:
            self._looking = Looking(self.run, self._looks, self._roots)
        if self._tracker is not None:
            Tracked(self.run, self._tracker)

    def stop(self) -> None:
        """End the last step and take every patch away."""
        if Sanitizer.watching is not self:
            return
        self.run.window.close()
        self.run.steps.finish()
        if self._looking is not None:
            self._looking.stop()
        if self._faults is not None:
            self._faults.remove()
        self.run.emit(RunEnded(place=("", 0), step=self.run.step))
        self.run.replaced = self._patches.replaced()
        if self.run.replaced:
            self.run.problem(f"the program replaced {', '.join(self.run.replaced)}: what went through was not seen")
        self._patches.undo()
        for handle in (*self._handles, *self.run.hooks):
            handle.remove()
        if self._trace is not None:
            self._trace.close()
        Sanitizer.watching = None

    def pause(self) -> None:
        """Look away until `resume`. What happens meanwhile is not seen, and what it leaves is not known."""
        self.run.window.close()
        self._patches.active = False
        self.run.paused = True

    def resume(self) -> None:
        """Look again."""
        self._patches.active = True
        self.run.paused = False

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        return self.run.alarms()

    @property
    def looked_into(self) -> tuple[tuple[int, DeepStep], ...]:
        """Return the steps that were looked into, by number, with what was seen in each."""
        return () if self._looking is None else tuple(self._looking.records)

    def report(self) -> SanitizerReport:
        return self.run.report()

    def summary(self) -> str:
        """Return the report as text."""
        return summary(self.report())

    def __enter__(self) -> Sanitizer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.run.raised(error)
        self.stop()


@contextlib.contextmanager
def amp_sanitizer(
    *,
    roots: Sequence[str] = (),
    faults: Plan | None = None,
    looks: Looks | None = None,
    trace: str | Path | None = None,
    tracker: Tracks | None = None,
) -> Iterator[Sanitizer]:
    """Watch the training inside the block for misuse of mixed precision.

    The alarms are there while it runs (`watching.alarms`), and `watching.report()` tells all once it has ended.
    """
    with Sanitizer(roots=roots, faults=faults, looks=looks, trace=trace, tracker=tracker) as watching:
        yield watching


def all_checks() -> tuple[Check, ...]:
    """Return the run-time half of every rule that has one, in the order of their codes.

    Raises:
        TypeError: a module of `rules` has no CHECK, or its name and its code differ.
    """
    found = []
    for module in sorted(pkgutil.iter_modules(rule_package.__path__), key=lambda one: one.name):
        check = getattr(importlib.import_module(f"{rule_package.__name__}.{module.name}"), "CHECK", None)
        if not isinstance(check, Check) or check.code.lower() != module.name.partition("_")[0]:
            raise TypeError(f"{module.name} must hold one CHECK with the code of its name")
        found.append(check)
    return tuple(found)
