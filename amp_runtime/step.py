"""One optimizer step in the order that mixed precision needs, and the report of what it did."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from amp_runtime.accumulation import shares
from amp_runtime.policy import trained_parameters

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from amp_runtime.objective import Objective, Outcome
    from amp_runtime.policy import Fp32Policy
    from amp_runtime.scaling import ScaledStep

Batch = TypeVar("Batch")


class NonFiniteError(RuntimeError):
    """The loss or a gradient is inf or NaN and no loss scaler would have caught it."""


class NonFinite(enum.StrEnum):
    """What to do about an inf or NaN loss or gradient without a loss scaler, which handles it by itself."""

    RAISE = "raise"
    SKIP = "skip"
    IGNORE = "ignore"  # costs no wait for the device; inf and NaN then reach the weights


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """How a step treats gradients.

    Args:
        clip_norm: largest total L2 norm of all gradients together, in true (unscaled) units.
        clip_value: largest absolute value of a gradient element, in true units.
        nonfinite: see `NonFinite`.

    Raises:
        ValueError: a threshold that is not positive and finite, or both thresholds.
    """

    clip_norm: float | None = None
    clip_value: float | None = None
    nonfinite: NonFinite = NonFinite.RAISE

    def __post_init__(self) -> None:
        for name in ("clip_norm", "clip_value"):
            threshold = getattr(self, name)
            if threshold is not None and not (math.isfinite(threshold) and threshold > 0):
                raise ValueError(f"{name} must be a positive finite number, not {threshold!r}")
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError("clip_norm and clip_value were both given; a step clips by one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What one step did. Figures stay on the device until they are read; each first read may wait for it.

    Args:
        number: of the step, from 1, skipped ones included.
        lr: learning rate of the first parameter group in this step.
        examples: predictions that the loss averages.
        loss_tensor: 0-dim float32, weighted mean over the micro-batches.
        norm_tensor: 0-dim, total L2 norm of the true gradients before clipping.
        correct_tensor: right predictions, where the objective counts them.
        outcome: what the loss scaler did, where there is one.
        withheld: the step was skipped by the non-finite policy.
    """

    number: int
    lr: float
    examples: int
    loss_tensor: torch.Tensor
    norm_tensor: torch.Tensor
    correct_tensor: torch.Tensor | None = None
    outcome: ScaledStep | None = None
    withheld: bool = False

    @property
    def loss(self) -> float:
        return float(self.loss_tensor.item())

    @property
    def grad_norm(self) -> float:
        return float(self.norm_tensor.item())

    @property
    def scale(self) -> float | None:
        """The factor that was on the loss; None without loss scaling."""
        return None if self.outcome is None else float(self.outcome.scale.item())

    @property
    def skipped(self) -> bool:
        """Whether parameters and scheduler were left alone."""
        return self.withheld or (self.outcome is not None and self.outcome.skipped)


class TrainingStep(Generic[Batch]):
    """Zero the gradients; forward and loss under autocast; scale, backward; unscale, clip, step, update; scheduler.

    Between two steps the parameters keep the last gradients, true and clipped, for whoever wants to look at them.

    Args:
        scheduler: advanced once per step that really changed the weights, never by a skipped one.
        batch_size: size of a micro-batch, where they differ within one window; None: all count the same.

    Raises:
        ValueError: parameters the policy cannot train, a scheduler that needs a metric, or an optimizer
            that trains nothing.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: Optimizer,
        policy: Fp32Policy,
        objective: Objective[Batch],
        *,
        scheduler: LRScheduler | None = None,
        options: StepOptions | None = None,
        batch_size: Callable[[Batch], float] | None = None,
    ) -> None:
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError("ReduceLROnPlateau follows a metric, not steps; call it after each validation instead")
        if not trained_parameters(optimizer):
            raise ValueError("no parameter of the optimizer requires a gradient, so there is nothing to train")
        policy.check(optimizer)
        self.model = model
        self.optimizer = optimizer
        self.policy = policy
        self.objective = objective
        self.scheduler = scheduler
        self.options = options or StepOptions()
        self.number = 0
        self._batch_size = batch_size

    def run(self, window: Sequence[Batch]) -> StepReport:
        """Train on the micro-batches of one step.

        Raises:
            NonFiniteError: inf or NaN without a loss scaler, under `NonFinite.RAISE`; the weights are untouched.
            ScaleCollapseError: the loss scaler has given up.
            RuntimeError: called inside an autocast context, or no parameter received a gradient.
        """
        self._refuse_outer_autocast()
        # Not at the end: memory freed there goes back to the system and costs a CPU step up to a fifth to get again.
        self.optimizer.zero_grad()
        lr = float(self.optimizer.param_groups[0]["lr"])
        parts = shares([1.0 if self._batch_size is None else self._batch_size(batch) for batch in window])
        outcomes = self._backward(window, parts)
        loss = _weighted_loss(outcomes, parts)
        self.policy.unscale(self.optimizer)
        norm = self._clip()
        self.number += 1
        withheld = self._must_withhold(loss, norm)
        outcome = None if withheld else self.policy.step(self.optimizer)
        self.policy.update()
        report = StepReport(
            number=self.number,
            lr=lr,
            examples=sum(outcome.examples for outcome in outcomes),
            loss_tensor=loss,
            norm_tensor=norm,
            correct_tensor=_total_correct(outcomes),
            outcome=outcome,
            withheld=withheld,
        )
        if self.scheduler is not None and not report.skipped:
            self.scheduler.step()
        return report

    def _backward(self, window: Sequence[Batch], parts: Sequence[float]) -> list[Outcome]:
        outcomes = []
        for batch, share in zip(window, parts, strict=True):
            with self.policy.autocast():
                outcome = self.objective(self.model, batch)
            # The context is closed: backward runs each operation in the precision its forward chose.
            loss = outcome.loss if share == 1 else outcome.loss * share
            self.policy.scale(loss).backward()  # type: ignore[no-untyped-call]
            outcomes.append(outcome)
        return outcomes

    def _clip(self) -> torch.Tensor:
        """Clip true gradients of exactly the parameters that were unscaled; return their norm before it."""
        parameters = [p for p in trained_parameters(self.optimizer) if p.grad is not None]
        if not parameters:
            raise RuntimeError("no parameter of the optimizer received a gradient; does the loss depend on the model?")
        if self.options.clip_norm is not None:
            return torch.nn.utils.clip_grad_norm_(parameters, self.options.clip_norm)
        norm = total_norm([p.grad for p in parameters if p.grad is not None])
        if self.options.clip_value is not None:
            torch.nn.utils.clip_grad_value_(parameters, self.options.clip_value)
        return norm

    def _must_withhold(self, loss: torch.Tensor, norm: torch.Tensor) -> bool:
        if self.policy.scaler is not None or self.options.nonfinite is NonFinite.IGNORE:
            return False
        # One wait for both. A finite loss is not enough: a bf16 gradient can overflow by itself.
        if bool((loss.isfinite() & norm.isfinite()).item()):
            return False
        if self.options.nonfinite is NonFinite.RAISE:
            self.optimizer.zero_grad()
            raise NonFiniteError(
                f"step {self.number}: loss {loss.item():g}, gradient norm {norm.item():g} in {self.policy.precision}; "
                "the weights were not changed"
            )
        return True

    def _refuse_outer_autocast(self) -> None:
        if torch.is_autocast_enabled(self.policy.device.type):
            raise RuntimeError(
                "a training step was started inside an autocast context. Autocast keeps the half-precision copies of "
                "the weights until its outermost context closes, so every later step would train on stale weights; "
                "leave autocast to the precision policy"
            )


def total_norm(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the L2 norm of all gradients taken as one vector; 0-dim, on the first one's device."""
    norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    total: torch.Tensor = torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))
    return total


def _weighted_loss(outcomes: Sequence[Outcome], parts: Sequence[float]) -> torch.Tensor:
    losses = [outcome.loss.detach().float() for outcome in outcomes]
    if len(losses) == 1:
        return losses[0]
    return torch.stack([loss * share for loss, share in zip(losses, parts, strict=True)]).sum()


def _total_correct(outcomes: Sequence[Outcome]) -> torch.Tensor | None:
    counts = [outcome.correct for outcome in outcomes if outcome.correct is not None]
    return torch.stack(counts).sum() if counts else None
