"""One optimizer step: the order of its acts, for one optimizer or several, on one process or several."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from amp_runtime.accumulation import shares
from amp_runtime.compilation import backward_outside_autocast, is_compiled
from amp_runtime.objective import mean_of_parts, total_correct, weighted_mean
from amp_runtime.step.buffers import BufferSnapshot
from amp_runtime.step.gradients import clip, parameters_with_gradients
from amp_runtime.step.options import NonFinite, NonFiniteError, StepOptions
from amp_runtime.step.ranks import ranks_of
from amp_runtime.step.report import StepReport
from amp_runtime.step.wiring import as_tuple, check_optimizers, check_schedulers

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from amp_runtime.ema import ExponentialMovingAverage
    from amp_runtime.objective import Objective, Outcome
    from amp_runtime.policy import Fp32Policy
    from amp_runtime.scaling import ScaledStep

Batch = TypeVar("Batch")

_log = logging.getLogger(__name__)


class TrainingStep(Generic[Batch]):
    """Zero the gradients; forward and loss under autocast; scale, backward; unscale, clip, step, update; scheduler.

    Between two steps the parameters keep the last gradients, true and clipped, for whoever wants to look at them.
    A skipped step changes neither parameters nor schedulers nor the average; of several optimizers all step or none.

    Steps that take turns on several losses, as a GAN's two networks do, are one TrainingStep each; they may share a
    policy and with it a loss scale. Each clears the gradients of its own optimizers only when it begins, so what the
    other one's backward pass left there does not count.

    Under DistributedDataParallel and `fully_shard` (FSDP2) gradients are exchanged once per step, with the last
    micro-batch; with `batch_size`, micro-batches count by their share of all processes' examples; and whether a step is
    withheld is decided by all processes together. Every process must be given as many micro-batches.

    A model compiled by `torch.compile` runs its backward pass outside autocast, as an eager one does
    (`amp_runtime.compilation`).

    Args:
        optimizer: one, or several with disjoint parameters.
        scheduler: one or several, each of one of the optimizers; advanced once per step that really changed the
            weights, never by a skipped one.
        batch_size: size of a micro-batch, where they differ within one window; None: all count the same.
        ema: an average of the weights, advanced after each step that really changed them.

    Raises:
        ValueError: parameters the policy cannot train, or in two optimizers; a scheduler that needs a metric or drives
            another optimizer; an optimizer that trains nothing or needs a closure; a model wrapped in FSDP1.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        policy: Fp32Policy,
        objective: Objective[Batch],
        *,
        scheduler: LRScheduler | Sequence[LRScheduler] | None = None,
        options: StepOptions | None = None,
        batch_size: Callable[[Batch], float] | None = None,
        ema: ExponentialMovingAverage | None = None,
    ) -> None:
        self.model = model
        self.optimizers: tuple[Optimizer, ...] = as_tuple(optimizer)
        check_optimizers(self.optimizers, policy)
        self.schedulers: tuple[LRScheduler, ...] = as_tuple(scheduler)
        check_schedulers(self.schedulers, self.optimizers)
        self.policy = policy
        self.objective = objective
        self.options = options or StepOptions()
        self.ema = ema
        self.number = 0
        self.withheld_in_a_row = 0
        self._batch_size = batch_size
        self._ranks = ranks_of(model)
        self._compiled = is_compiled(model)
        self._buffers = BufferSnapshot(model) if self.options.restore_buffers else None

    @property
    def optimizer(self) -> Optimizer:
        """The one optimizer.

        Raises:
            ValueError: there are several; `optimizers` has them all.
        """
        if len(self.optimizers) != 1:
            raise ValueError(f"this step has {len(self.optimizers)} optimizers; ask for .optimizers")
        return self.optimizers[0]

    @property
    def scheduler(self) -> LRScheduler | None:
        """The one scheduler, or None.

        Raises:
            ValueError: there are several; `schedulers` has them all.
        """
        if len(self.schedulers) > 1:
            raise ValueError(f"this step has {len(self.schedulers)} schedulers; ask for .schedulers")
        return self.schedulers[0] if self.schedulers else None

    @scheduler.setter
    def scheduler(self, scheduler: LRScheduler | Sequence[LRScheduler] | None) -> None:
        schedulers = as_tuple(scheduler)
        check_schedulers(schedulers, self.optimizers)
        self.schedulers = schedulers

    def zero_grad(self) -> None:
        """Free the gradients of every optimizer's parameters."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def run(self, window: Sequence[Batch]) -> StepReport:
        """Train on the micro-batches of one step.

        Raises:
            NonFiniteError: inf or NaN without a loss scaler, under `NonFinite.RAISE`, or under `NonFinite.SKIP` once
                too often in a row; the weights are untouched.
            ScaleCollapseError: the loss scaler has given up.
            RuntimeError: called inside an autocast context, or no parameter of an optimizer received a gradient.
        """
        self._refuse_outer_autocast()
        # Not at the end: memory freed there goes back to the system and costs a CPU step up to a fifth to get again.
        self.zero_grad()
        lr = float(self.optimizers[0].param_groups[0]["lr"])
        if self._buffers is not None:
            self._buffers.take()
        outcomes, parts = self._backward(window)
        loss = weighted_mean([outcome.loss for outcome in outcomes], parts)
        norm, outcome, withheld = self._step(loss)
        report = StepReport(
            number=self.number,
            lr=lr,
            examples=sum(outcome.examples for outcome in outcomes),
            loss_tensor=loss,
            norm_tensor=norm,
            correct_tensor=total_correct(outcomes),
            part_tensors=mean_of_parts(outcomes, parts),
            outcome=outcome,
            withheld=withheld,
        )
        self._follow(report)
        return report

    def _backward(self, window: Sequence[Batch]) -> tuple[list[Outcome], tuple[float, ...]]:
        """Accumulate the gradients; return each micro-batch's outcome and its share of this process's loss."""
        sizes = [1.0 if self._batch_size is None else self._batch_size(batch) for batch in window]
        parts = shares(sizes)
        # Processes average their gradients: one with more examples than the others must weigh more.
        weight = 1.0
        if self._batch_size is not None and self._ranks.size > 1:
            weight = sum(sizes) * self._ranks.size / self._ranks.total(sum(sizes))
        outcomes = []
        for number, (batch, share) in enumerate(zip(window, parts, strict=True), 1):
            with self._exchange(last=number == len(window)):
                outcomes.append(self._micro_batch(batch, share * weight))
        return outcomes, parts

    def _micro_batch(self, batch: Batch, share: float) -> Outcome:
        if self._compiled:
            with backward_outside_autocast(), self.policy.autocast():
                outcome = self.objective(self.model, batch)
        else:
            with self.policy.autocast():
                outcome = self.objective(self.model, batch)
        # The context is closed: backward runs each operation in the precision its forward chose.
        loss = outcome.loss if share == 1 else outcome.loss * share
        self.policy.scale(loss).backward()  # type: ignore[no-untyped-call]
        return outcome

    def _exchange(self, *, last: bool) -> AbstractContextManager[None]:
        if last or self.options.sync_every_backward:
            return contextlib.nullcontext()
        return self._ranks.without_exchange()

    def _step(self, loss: torch.Tensor) -> tuple[torch.Tensor, ScaledStep | None, bool]:
        """Unscale, clip, step and update, or withhold; return the true norm, the scaler's outcome and whether."""
        groups = parameters_with_gradients(self.optimizers)
        self.number += 1
        try:
            self.policy.unscale(*self.optimizers)
            norm = clip(groups, self.options)
            withheld = self._must_withhold(loss, norm)
            outcome = None if withheld else self.policy.step(*self.optimizers)
        except BaseException:
            # Else the scaler would take the next step for the rest of this one, and refuse to unscale again.
            self.policy.abandon()
            raise
        self.policy.update()
        return norm, outcome, withheld

    def _follow(self, report: StepReport) -> None:
        """Let everything that follows the weights follow them, or put back what the forward pass changed."""
        if not (self.schedulers or self.ema is not None or self._buffers is not None):
            return
        if report.skipped:
            if self._buffers is not None:
                self._buffers.restore()
            return
        for scheduler in self.schedulers:
            scheduler.step()
        if self.ema is not None:
            self.ema.update()

    def _must_withhold(self, loss: torch.Tensor, norm: torch.Tensor) -> bool:
        if self.policy.scaler is not None or self.options.nonfinite is NonFinite.IGNORE:
            return False
        # One wait for both. A finite loss is not enough: a bf16 gradient can overflow by itself.
        bad = self._ranks.any(~(loss.isfinite() & norm.isfinite()))
        if not bool(bad.item()):
            self.withheld_in_a_row = 0
            return False
        self.withheld_in_a_row += 1
        self._refuse_non_finite(loss, norm)
        if self.withheld_in_a_row == 1:
            _log.warning(
                "step %d withheld: loss %g, gradient norm %g", self.number, float(loss.item()), float(norm.item())
            )
        return True

    def _refuse_non_finite(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        allowed = self.options.skip_budget if self.options.nonfinite is NonFinite.SKIP else 0
        if self.withheld_in_a_row <= allowed:
            return
        self.zero_grad()
        if self._buffers is not None:
            self._buffers.restore()
        before = f", after {allowed} steps withheld in a row" if allowed else ""
        self.withheld_in_a_row = 0
        raise NonFiniteError(
            f"step {self.number}: loss {loss.item():g}, gradient norm {norm.item():g} in {self.policy.precision}"
            f"{before}; the weights were not changed"
        )

    def _refuse_outer_autocast(self) -> None:
        if torch.is_autocast_enabled(self.policy.device.type):
            raise RuntimeError(
                "a training step was started inside an autocast context. Autocast keeps the half-precision copies of "
                "the weights until its outermost context closes, so every later step would train on stale weights; "
                "leave autocast to the precision policy"
            )
