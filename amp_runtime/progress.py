"""How training shows that it goes on: a bar on a terminal, a line per epoch elsewhere, both on stderr."""

from __future__ import annotations

import logging
import operator
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from amp_runtime.callbacks import Callback
from amp_runtime.history import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.history import EpochRecord, History
    from amp_runtime.run import TrainingRun
    from amp_runtime.step import StepReport

_REFRESH_S = 0.5  # reading the loss waits for the device, so no more often than this


def progress_callbacks(
    wanted: bool | None, *, last_epoch: int | None, max_steps: int | None, console: Console | None = None
) -> list[Callback]:
    """Choose how a run shows its progress: see `fit`."""
    if wanted is False:
        return []
    console = console or Console(file=sys.stderr)
    if console.is_terminal and not console.is_dumb_terminal:
        return [Bar(console, last_epoch=last_epoch, max_steps=max_steps)]
    # The loop logs the same lines; nobody wants them twice.
    logged = logging.getLogger("amp_runtime.loop").isEnabledFor(logging.INFO)
    return [] if wanted is None and logged else [Lines(console)]


class Lines(Callback):
    """A line per epoch and one at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_epoch(self, record: EpochRecord) -> None:
        self._print(describe(record))

    def on_end(self, history: History) -> None:
        self._print(ending(history))

    def on_exception(self, error: BaseException, history: History) -> None:
        self._print(ending(history))

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Bar(Callback):
    """A bar per epoch, with loss, loss scale, speed and time left; a finished epoch leaves its line above the bar."""

    def __init__(self, console: Console, *, last_epoch: int | None, max_steps: int | None) -> None:
        self._console = console
        self._last_epoch = last_epoch
        self._max_steps = max_steps
        self._run: TrainingRun[Any] | None = None
        self._shown_at = 0.0
        self._speed = _Speed()
        columns: Sequence[ProgressColumn] = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True, expand=True)
        self._task = self._progress.add_task("epoch", total=None, figures="", start=False)

    def on_start(self, run: TrainingRun[Any]) -> None:
        self._run = run
        self._begin_epoch()
        self._progress.start()

    def _begin_epoch(self) -> None:
        run = self._run
        if run is None:
            return
        total = operator.length_hint(run.batches, 0) or None  # some loaders have a __len__ that raises TypeError
        of = "" if self._last_epoch is None else f"/{self._last_epoch}"
        self._progress.reset(
            self._task, total=total, completed=run.position.batches, description=f"epoch {run.position.epoch}{of}"
        )

    def on_step(self, report: StepReport) -> None:
        run = self._run
        if run is None:
            return
        self._progress.update(self._task, completed=run.position.batches)
        now = time.monotonic()
        self._speed.add(report.examples, now)
        if now - self._shown_at < _REFRESH_S:
            return
        self._shown_at = now
        self._progress.update(self._task, figures=self._figures(report))

    def _figures(self, report: StepReport) -> str:
        of = "" if self._max_steps is None else f"/{self._max_steps}"
        parts = [f"step {report.number}{of}", f"loss {report.loss:.4g}"]
        if report.scale is not None:
            parts.append(f"scale {report.scale:g}")
        if self._speed.per_s:
            parts.append(f"{self._speed.per_s:.0f} examples/s")
        return ", ".join(parts)

    def on_epoch(self, record: EpochRecord) -> None:
        self._progress.refresh()
        self._progress.console.print(describe(record), markup=False, highlight=False)

    def on_settled(self) -> None:
        if self._run is not None and self._run.position.batches == 0 and not self._run.ended:
            self._begin_epoch()

    def on_end(self, history: History) -> None:
        self._close(history)

    def on_exception(self, error: BaseException, history: History) -> None:
        self._close(history)

    def _close(self, history: History) -> None:
        self._progress.stop()
        self._console.print(ending(history), markup=False, highlight=False)


class _Speed:
    """Examples per second, smoothed over some seconds."""

    def __init__(self) -> None:
        self.per_s = 0.0
        self._examples = 0
        self._since: float | None = None

    def add(self, examples: int, now: float) -> None:
        if self._since is None:
            self._since = now
            return
        self._examples += examples
        if (elapsed := now - self._since) >= _REFRESH_S or not self.per_s:
            fresh = self._examples / max(elapsed, 1e-9)
            self.per_s = fresh if not self.per_s else 0.5 * (self.per_s + fresh)
            self._examples, self._since = 0, now


def ending(history: History) -> str:
    """Say in words how a run ended, and what failed beside it."""
    said = [f"training ended: {history.ended}"]
    for kind, numbers in (("loss scaler", history.overflows), ("non-finite policy", history.withheld)):
        if numbers:
            said.append(f"{len(numbers)} steps skipped by the {kind}")
    return "; ".join([*said, *history.failures])
