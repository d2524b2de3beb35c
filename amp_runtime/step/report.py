"""What one optimizer step did, in figures that stay on the device until somebody reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from amp_runtime.scaling import ScaledStep


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What one step did. Figures stay on the device until they are read; each first read may wait for it.

    Args:
        number: of the step, from 1, skipped ones included.
        lr: learning rate of the first parameter group (of the first optimizer) in this step.
        examples: predictions that the loss averages, on this process.
        loss_tensor: 0-dim float32, weighted mean over the micro-batches of this process.
        norm_tensor: 0-dim, total L2 norm of the true gradients before clipping, all optimizers and processes together.
        correct_tensor: right predictions, where the objective counts them.
        part_tensors: the named losses that the loss is made of, where the objective names them; means like the loss.
        outcome: what the loss scaler did, where there is one. Of several optimizers all step or none.
        withheld: the step was skipped by the non-finite policy.
    """

    number: int
    lr: float
    examples: int
    loss_tensor: torch.Tensor
    norm_tensor: torch.Tensor
    correct_tensor: torch.Tensor | None = None
    part_tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    outcome: ScaledStep | None = None
    withheld: bool = False

    @property
    def loss(self) -> float:
        return float(self.loss_tensor.item())

    @property
    def grad_norm(self) -> float:
        return float(self.norm_tensor.item())

    @property
    def parts(self) -> dict[str, float]:
        """The named losses in plain numbers; empty where the objective names none."""
        return {name: float(part.item()) for name, part in self.part_tensors.items()}

    @property
    def scale(self) -> float | None:
        """The factor that was on the loss; None without loss scaling."""
        return None if self.outcome is None else float(self.outcome.scale.item())

    @property
    def skipped(self) -> bool:
        """Whether parameters and scheduler were left alone."""
        return self.withheld or (self.outcome is not None and self.outcome.skipped)
