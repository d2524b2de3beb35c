"""Whether an optimizer stepped: Lightning reports a skipped step nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch.optim import Optimizer


class StepWatch:
    """Notes each step that an optimizer really takes.

    GradScaler calls a plain optimizer only when all gradients are finite. A fused one it always calls, and the kernel
    then reads a flag and leaves the weights alone; that flag is kept, and read when somebody asks.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._overflow: bool | torch.Tensor = True
        self._handle = optimizer.register_step_post_hook(self._note)

    def _note(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        flag = getattr(optimizer, "found_inf", None)
        self._overflow = False if flag is None else flag

    def take(self) -> bool | torch.Tensor:
        """Return whether no step was taken since the last call; a 0-dim tensor where only the device knows."""
        overflow, self._overflow = self._overflow, True
        return overflow

    def remove(self) -> None:
        self._handle.remove()


def unscales_by_itself(optimizer: Optimizer) -> bool:
    """Whether the optimizer's own kernel divides by the loss scale, so that its gradients stay scaled until then."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))
