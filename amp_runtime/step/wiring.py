"""Which optimizers and schedulers belong in one step; what does not fit is refused before training begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from amp_runtime.policy import trained_parameters

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from amp_runtime.policy import Fp32Policy

Part = TypeVar("Part")


def as_tuple(parts: Part | Sequence[Part] | None) -> tuple[Part, ...]:
    """Return none, one or several as a tuple."""
    if parts is None:
        return ()
    return tuple(parts) if isinstance(parts, Sequence) else (parts,)


def check_optimizers(optimizers: Sequence[Optimizer], policy: Fp32Policy) -> None:
    """Refuse optimizers that cannot step together under a policy.

    Raises:
        ValueError: none; one that trains nothing, needs a closure, or holds what the policy cannot train; or one
            parameter in two of them, whose gradient would be unscaled twice.
    """
    if not optimizers:
        raise ValueError("a step needs at least one optimizer")
    seen: set[torch.Tensor] = set()
    for optimizer in optimizers:
        parameters = trained_parameters(optimizer)
        if not parameters:
            raise ValueError("no parameter of the optimizer requires a gradient, so there is nothing to train")
        policy.check(optimizer)
        if isinstance(optimizer, torch.optim.LBFGS):
            raise ValueError("LBFGS calls a closure several times per step; a training step runs each batch once")
        for parameter in parameters:
            if parameter in seen:
                raise ValueError(
                    f"a parameter of shape {tuple(parameter.shape)} is in two optimizers, so its gradient would be "
                    "unscaled and applied twice; give each optimizer its own parameters"
                )
        seen.update(parameters)


def check_schedulers(schedulers: Sequence[LRScheduler], optimizers: Sequence[Optimizer]) -> None:
    """Refuse schedulers that a step cannot advance.

    Raises:
        ValueError: one that follows a metric, or that drives an optimizer of some other step.
    """
    for scheduler in schedulers:
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError("ReduceLROnPlateau follows a metric, not steps; call it after each validation instead")
        driven = getattr(scheduler, "optimizer", None)
        if driven is not None and all(driven is not optimizer for optimizer in optimizers):
            raise ValueError(f"the {type(scheduler).__name__} drives an optimizer that is not one of this step's")
