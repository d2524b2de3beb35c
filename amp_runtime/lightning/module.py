"""A LightningModule that trains an objective, with a schedule that skipped steps do not advance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from lightning.pytorch import LightningModule
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from amp_runtime.activation_checkpointing import checkpoint_activations
from amp_runtime.lightning.steps import StepWatch

if TYPE_CHECKING:
    from amp_runtime.activation_checkpointing import Chosen
    from amp_runtime.objective import Objective, Outcome

Batch = TypeVar("Batch")
MakeOptimizer = Callable[[Iterable[torch.nn.Parameter]], Optimizer]
MakeScheduler = Callable[[Optimizer], LRScheduler]

_HALF = (torch.float16, torch.bfloat16)


class ObjectiveModule(LightningModule, Generic[Batch]):
    """Train `model` on `objective` with one optimizer; the Trainer decides the precision, clips and accumulates.

    Logs `train/loss`, `validation/loss` and, where the objective counts right answers, `validation/accuracy`.

    Args:
        make_optimizer: called with the parameters that require a gradient; its settings are used as they are.
        make_scheduler: called with that optimizer; advanced once per optimizer step that changed the weights. Lightning
            itself advances schedules on skipped steps too.
        recomputed: modules that forget their activations and compute them again in backward, see
            `amp_runtime.activation_checkpointing`; None: no module.

    Raises:
        ValueError: half-precision weights; `recomputed` that chooses nothing; in `configure_optimizers`, a schedule
            that follows a metric.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        objective: Objective[Batch],
        make_optimizer: MakeOptimizer,
        *,
        make_scheduler: MakeScheduler | None = None,
        recomputed: Chosen | None = None,
    ) -> None:
        super().__init__()
        refuse_half_weights(model)
        if recomputed is not None:
            checkpoint_activations(model, recomputed)
        self.model = model
        self._objective = objective
        self._make_optimizer = make_optimizer
        self._make_scheduler = make_scheduler
        self._watch: StepWatch | None = None

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        outcome = self._objective(self.model, batch)
        self.log("train/loss", outcome.loss.detach(), batch_size=outcome.examples)
        return outcome.loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        log_validation(self, self._objective(self.model, batch))

    def configure_optimizers(self) -> Any:
        """Return the optimizer, and its scheduler once per step, in the form that Lightning reads."""
        optimizer = self._make_optimizer(p for p in self.model.parameters() if p.requires_grad)
        if self._make_scheduler is None:
            return optimizer
        scheduler = self._make_scheduler(optimizer)
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError("ReduceLROnPlateau follows a metric, not steps; give a schedule of steps")
        self._watch = StepWatch(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def lr_scheduler_step(self, scheduler: LRScheduler, metric: Any | None) -> None:
        """Advance the schedule, unless the loss scaler has skipped the step. May wait for the device if fused."""
        if self._watch is None or not bool(self._watch.take()):
            scheduler.step()


def refuse_half_weights(model: torch.nn.Module) -> None:
    """Raise ValueError where a trained weight is half precision, whose small updates round to nothing."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.dtype in _HALF:
            raise ValueError(
                f"{name} is {parameter.dtype}; mixed precision keeps its weights in float32: call model.float(), and "
                "let the Trainer's precision choose the format of each operation"
            )


def log_validation(module: LightningModule, outcome: Outcome, prefix: str = "validation") -> None:
    """Log the loss and, where it was counted, the accuracy of one validation batch, weighted by its examples."""
    module.log(f"{prefix}/loss", outcome.loss, batch_size=outcome.examples)
    if outcome.correct is not None:
        accuracy = outcome.correct.float() / outcome.examples
        module.log(f"{prefix}/accuracy", accuracy, batch_size=outcome.examples)
