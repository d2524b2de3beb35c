"""When checkpoints of a run are written, and which of them are kept."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amp_runtime.callbacks import Callback
from amp_runtime.checkpoint import read_info
from amp_runtime.checkpoint_files import MANIFEST, remove_checkpoint
from amp_runtime.monitor import Monitor

if TYPE_CHECKING:
    from amp_runtime.checkpoint import CheckpointInfo
    from amp_runtime.history import EpochRecord, History, ValidationRecord
    from amp_runtime.run import TrainingRun

_log = logging.getLogger(__name__)

_NAME = re.compile(r"step-\d{10,}")


class Checkpoints(Callback):
    """Write a checkpoint now and then, and always at the end of training and at Ctrl-C.

    One is also written after each validation that is the best so far. Everything is a folder `step-0000001234` in
    `folder`; give one of them to `fit(..., resume=...)`.

    Args:
        folder: made if need be. It must hold no checkpoints of later steps than the run's, which are another run's.
        every_steps: write one whenever `step.number` is a multiple of it.
        every_epochs: write one after so many epochs; None for none.
        keep_last: how many of the newest are kept.
        keep_best: how many of the best are kept beside them, as far as the figure was measured at their step.
        monitor: what is the best; `mode` as for `EarlyStopping`.

    Raises:
        ValueError: a figure below 1 (`keep_best` may be 0), or see `Monitor`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        every_steps: int | None = None,
        every_epochs: int | None = 1,
        keep_last: int = 3,
        keep_best: int = 1,
        monitor: str = "validation_loss",
        mode: str = "",
    ) -> None:
        for name, figure, least in (
            ("every_steps", every_steps, 1),
            ("every_epochs", every_epochs, 1),
            ("keep_last", keep_last, 1),
            ("keep_best", keep_best, 0),
        ):
            if figure is not None and figure < least:
                raise ValueError(f"{name} must be at least {least}, not {figure}")
        self.folder = Path(folder)
        self.monitor = Monitor(name=monitor, mode=mode)
        self._every_steps = every_steps
        self._every_epochs = every_epochs
        self._keep_last = keep_last
        self._keep_best = keep_best
        self._run: TrainingRun[Any] | None = None
        self._best: float | None = None
        self._figure: tuple[int, float] | None = None
        self._due = False
        self._saved_at = -1

    def on_start(self, run: TrainingRun[Any]) -> None:
        """Refuse a folder in which newer checkpoints lie: this run's would be taken for the old ones and deleted."""
        self._run = run
        known = _checkpoints(self.folder)
        if known and known[-1].step > run.step.number:
            raise ValueError(
                f"{self.folder} holds checkpoints up to step {known[-1].step}, and this run starts after step "
                f"{run.step.number}: resume from {known[-1].path.name}, or choose another folder"
            )
        if self._best is None:
            figures = [info.metrics[self.monitor.name] for info in known if self.monitor.name in info.metrics]
            for figure in figures:
                if self.monitor.improves(figure, self._best):
                    self._best = figure

    def on_validation(self, record: ValidationRecord) -> None:
        if self.monitor.is_validation:
            self._note(record.step, self.monitor.of_validation(record))

    def on_epoch(self, record: EpochRecord) -> None:
        if not self.monitor.is_validation:
            self._note(record.step, self.monitor.of_epoch(record))
        self._due |= self._every_epochs is not None and record.epoch % self._every_epochs == 0

    def _note(self, step: int, figure: float) -> None:
        self._figure = (step, figure)
        if self.monitor.improves(figure, self._best):
            self._best = figure
            self._due |= self._keep_best > 0

    def on_settled(self) -> None:
        run = self._started()
        self._due |= self._every_steps is not None and run.step.number % self._every_steps == 0
        if self._due or run.ended:
            self._save(run)

    def _save(self, run: TrainingRun[Any]) -> None:
        number = run.step.number
        self._due = False
        self._saved_at = number
        if not run.is_first:
            return
        figure = self._figure
        metrics = {self.monitor.name: figure[1]} if figure is not None and figure[0] == number else {}
        path = self.folder / f"step-{number:010}"
        run.save(path, metrics)
        _log.info("checkpoint %s written", path.name)
        self._prune()

    def _prune(self) -> None:
        known = _checkpoints(self.folder)
        kept = {info.path for info in known[-self._keep_last :]}
        kept |= {info.path for info in _ranked(known, self.monitor)[: self._keep_best]}
        for info in known:
            if info.path not in kept:
                remove_checkpoint(info.path)
        for path in _folders(self.folder, whole=False):
            remove_checkpoint(path)

    def on_end(self, history: History) -> None:
        """Say where to go on after an interruption."""
        if history.interrupted:
            run = self._started()
            if self._saved_at != run.step.number:  # it came between two epochs
                self._save(run)
            _log.warning("%s; go on with resume=latest_checkpoint(%r)", history.ended, self.folder.name)

    def _started(self) -> TrainingRun[Any]:
        if self._run is None:
            raise RuntimeError("Checkpoints was not given to fit")
        return self._run


def latest_checkpoint(folder: str | Path) -> Path | None:
    """Return the checkpoint of the highest step in a folder of `Checkpoints`; None where there is none yet.

    Raises:
        CheckpointError: one of them has a damaged manifest; delete it to go on with the others.
    """
    known = _checkpoints(Path(folder))
    return known[-1].path if known else None


def best_checkpoint(folder: str | Path, monitor: str = "validation_loss", *, mode: str = "") -> Path | None:
    """Return the checkpoint at whose step `monitor` was best; None where it was measured at none.

    Raises:
        ValueError, CheckpointError: see `Monitor` and `latest_checkpoint`.
    """
    ranked = _ranked(_checkpoints(Path(folder)), Monitor(name=monitor, mode=mode))
    return ranked[0].path if ranked else None


def _checkpoints(folder: Path) -> list[CheckpointInfo]:
    """Return what is known of each checkpoint in `folder`, lowest step first."""
    return sorted((read_info(path) for path in _folders(folder, whole=True)), key=lambda info: info.step)


def _folders(folder: Path, *, whole: bool) -> list[Path]:
    """Return the checkpoints in `folder`, or those that a crash left half written or half deleted."""
    named = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(path for path in named if path.is_dir() and (path / MANIFEST).exists() is whole)


def _ranked(known: list[CheckpointInfo], monitor: Monitor) -> list[CheckpointInfo]:
    """Sort those at whose step the figure was measured and is a number, best first, and of equals the newest first."""
    sign = -1 if monitor.higher_is_better else 1
    measured = [info for info in known if not math.isnan(info.metrics.get(monitor.name, math.nan))]
    return sorted(measured, key=lambda info: (sign * info.metrics[monitor.name], -info.step))
