"""A callback that records and logs what mixed precision did in each optimizer step."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Callback

from amp_runtime.lightning.precision import trainer_precision
from amp_runtime.lightning.steps import StepWatch, unscales_by_itself
from amp_runtime.scaling import ScaleCollapseError
from amp_runtime.step import total_norm

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from torch.optim import Optimizer

_log = logging.getLogger(__name__)

# Each read waits for the device. Flags that only the device knows are read sooner, to notice a collapse in time.
_READ_EVERY, _READ_FLAGS_EVERY = 64, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerStepRecord:
    """One optimizer step in plain numbers.

    Args:
        step: from 0, of this callback and over all optimizers, skipped ones included.
        optimizer: its place in `trainer.optimizers`.
        grad_norm: total L2 norm of its true gradients, before clipping; 0.0 where it has none.
        scale: loss scale of the step; None without loss scaling.
        skipped: the weights were left alone.
    """

    step: int
    optimizer: int
    grad_norm: float
    scale: float | None
    skipped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unread:
    """The same with its figures still on the device; `overflow` becomes known only after the step."""

    step: int
    optimizer: int
    norm: torch.Tensor
    scale: torch.Tensor | None
    overflow: bool | torch.Tensor = False


class PrecisionMonitor(Callback):
    """Log loss scale, skipped steps and gradient norm, keep them, and stop a run whose loss scale has collapsed.

    `amp/loss_scale`, `amp/grad_norm` and `amp/skipped_steps` go through `self.log` after every batch that stepped, the
    first two with the optimizer's number behind the name where there are several. The effective precision, which is no
    number, goes to the loggers as a hyper-parameter. Counts are in Lightning's checkpoints, so they go on after a
    resume.

    Args:
        collapse_patience: steps skipped with a scale below 1, with no good one between, after which training stops
            with `ScaleCollapseError`. Lightning itself would go on for ever without learning.

    Raises:
        ValueError: a patience below 1.
    """

    def __init__(self, *, collapse_patience: int = 10) -> None:
        if collapse_patience < 1:
            raise ValueError(f"collapse_patience must be at least 1, not {collapse_patience}")
        self.precision: str | None = None
        self._patience = collapse_patience
        self._records: list[OptimizerStepRecord] = []
        self._open: dict[int, _Unread] = {}
        self._unread: list[_Unread] = []
        self._watches: list[StepWatch] = []
        self._steps = 0
        self._skips = 0
        self._low_skips = 0

    @property
    def history(self) -> tuple[OptimizerStepRecord, ...]:
        """The steps since this process began, oldest first. Waits for the device."""
        self._read()
        return tuple(self._records)

    @property
    def skipped_steps(self) -> int:
        """How many steps were skipped, those before a resumed checkpoint included. Waits for the device."""
        self._read()
        return self._skips

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.precision = trainer_precision(trainer)
        _log.info("effective precision: %s", self.precision)
        for logger in trainer.loggers:
            logger.log_hyperparams({"effective_precision": self.precision})
        self._watches = [StepWatch(optimizer) for optimizer in trainer.optimizers]

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Note the gradient norm: gradients are complete and, but for fused optimizers, unscaled by now."""
        number = next(place for place, own in enumerate(trainer.optimizers) if own is optimizer)
        self._close(number)  # manual optimization may step twice in a batch
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        # A scaled 1 is a fresh tensor that needs no wait for the device, as get_scale() would.
        scale = None if scaler is None else scaler.scale(torch.ones((), device=pl_module.device))
        norm = _norm(optimizer, pl_module.device)
        if scale is not None and unscales_by_itself(optimizer):
            norm = norm / scale
        self._open[number] = _Unread(step=self._steps, optimizer=number, norm=norm, scale=scale)
        self._steps += 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the batch's steps; a batch that only adds to the gradients has none.

        Raises:
            ScaleCollapseError: gradients are inf or NaN whatever the scale.
        """
        closed = [self._close(number) for number in sorted(self._open)]
        for step in filter(None, closed):
            suffix = f"/{step.optimizer}" if len(trainer.optimizers) > 1 else ""
            pl_module.log(f"amp/grad_norm{suffix}", step.norm)
            if step.scale is not None:
                pl_module.log(f"amp/loss_scale{suffix}", step.scale)
        flags = [step.overflow for step in self._unread]
        on_device = any(isinstance(flag, torch.Tensor) for flag in flags)
        if True in [flag for flag in flags if isinstance(flag, bool)] or len(flags) >= (
            _READ_FLAGS_EVERY if on_device else _READ_EVERY
        ):
            self._read()
        if closed:
            pl_module.log("amp/skipped_steps", float(self._skips))
        if self._low_skips >= self._patience:
            raise ScaleCollapseError(
                f"the loss scale collapsed: {self._low_skips} steps were skipped with a scale below 1, so gradients "
                "are inf or NaN whatever the scale. Look for the operation that produces them, or train in bf16-mixed."
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop_watching()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop_watching()

    def state_dict(self) -> dict[str, Any]:
        self._read()
        return {"steps": self._steps, "skips": self._skips, "low_skips": self._low_skips}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._steps, self._skips = state_dict["steps"], state_dict["skips"]
        self._low_skips = state_dict["low_skips"]

    def _close(self, number: int) -> _Unread | None:
        step = self._open.pop(number, None)
        overflow = self._watches[number].take()
        if step is None:
            return None
        closed = step if step.scale is None else replace(step, overflow=overflow)
        self._unread.append(closed)
        return closed

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for step in unread:
            scale = None if step.scale is None else float(step.scale.item())
            record = OptimizerStepRecord(
                step=step.step,
                optimizer=step.optimizer,
                grad_norm=float(step.norm.item()),
                scale=scale,
                skipped=bool(step.overflow),
            )
            self._records.append(record)
            self._skips += record.skipped
            if self._low_skips < self._patience:
                self._low_skips = self._low_skips + 1 if record.skipped and scale is not None and scale < 1 else 0

    def _stop_watching(self) -> None:
        for number in sorted(self._open):
            self._close(number)
        for watch in self._watches:
            watch.remove()
        self._watches = []


def _norm(optimizer: Optimizer, device: torch.device) -> torch.Tensor:
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return total_norm(gradients) if gradients else torch.zeros((), device=device)
