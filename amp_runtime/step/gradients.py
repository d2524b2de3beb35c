"""The gradients of a step once they are true: their norm, and clipping them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from amp_runtime.policy import trained_parameters

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from amp_runtime.step.options import StepOptions


def parameters_with_gradients(optimizers: Sequence[Optimizer]) -> list[list[torch.Tensor]]:
    """Return, for each optimizer, its parameters that have a gradient.

    Raises:
        RuntimeError: an optimizer without any. GradScaler would fail on it later, and without a loss scaler the
            optimizer would do nothing in silence.
    """
    found = [[p for p in trained_parameters(optimizer) if p.grad is not None] for optimizer in optimizers]
    for number, parameters in enumerate(found, 1):
        if not parameters:
            which = "the optimizer" if len(optimizers) == 1 else f"optimizer {number} of {len(optimizers)}"
            raise RuntimeError(f"no parameter of {which} received a gradient; does the loss depend on the model?")
    return found


def clip(groups: Sequence[Sequence[torch.Tensor]], options: StepOptions) -> torch.Tensor:
    """Clip the true gradients of each optimizer's parameters in place; return the norm of all of them before that."""
    if options.clip_norm is not None:
        if options.clip_together:
            groups = [[parameter for group in groups for parameter in group]]
        return _combined([_clip_norm(group, options.clip_norm) for group in groups])
    norm = total_norm([p.grad for group in groups for p in group if p.grad is not None])
    if options.clip_value is not None:
        for group in groups:
            torch.nn.utils.clip_grad_value_(group, options.clip_value)
    return norm


def total_norm(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the L2 norm of all gradients taken as one vector; 0-dim, on the first one's device.

    Of gradients sharded by FSDP2 (DTensor) it is that of the whole vector, the same on every process.
    """
    return _combined([torch.linalg.vector_norm(_values(gradient)) for gradient in gradients])


def _clip_norm(parameters: Sequence[torch.Tensor], threshold: float) -> torch.Tensor:
    return _whole(torch.nn.utils.clip_grad_norm_(parameters, threshold))


def _combined(norms: Sequence[torch.Tensor]) -> torch.Tensor:
    if len(norms) == 1:
        return _whole(norms[0])
    total: torch.Tensor = torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))
    return _whole(total)


def _values(gradient: torch.Tensor) -> torch.Tensor:
    # Coalesced, since the same row may be there twice.
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _whole(norm: torch.Tensor) -> torch.Tensor:
    # A DTensor knows its part only; asking by name spares the import of torch.distributed.
    gather = getattr(norm, "full_tensor", None)
    return norm if gather is None else gather()
