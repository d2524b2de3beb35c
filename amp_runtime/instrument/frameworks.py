"""Which framework a scaler belongs to, so that a mistake is told in the words of the framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .run import Run

Framework = Literal["", "accelerate", "fabric", "lightning"]

_PACKAGES: dict[str, Framework] = {
    "accelerate": "accelerate",
    "lightning.fabric": "fabric",
    "lightning_fabric": "fabric",
    "lightning.pytorch": "lightning",
    "pytorch_lightning": "lightning",
}
CALLS: dict[Framework, tuple[str, str]] = {  # how each does a backward, and how it clips
    "accelerate": ("accelerator.backward(loss)", "accelerator.clip_grad_norm_(...)"),
    "fabric": ("fabric.backward(loss)", "fabric.clip_gradients(...)"),
    "lightning": ("self.manual_backward(loss)", "gradients that were unscaled"),
}


def framework(run: Run, scaler: int) -> Framework:
    """Return the framework that made a scaler, by id, or that scales and steps with it; "" for the program itself."""
    seen = run.scalers.get(scaler)
    return "" if seen is None else _PACKAGES.get(seen.via, "")
