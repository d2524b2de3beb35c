"""How a step treats gradients: one frozen value, refused at construction where it contradicts itself. No torch."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass


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
        clip_norm: largest L2 norm of an optimizer's gradients taken as one vector, in true (unscaled) units.
        clip_value: largest absolute value of a gradient element, in true units.
        clip_together: with several optimizers, `clip_norm` bounds the norm of all their gradients as one vector.
        nonfinite: see `NonFinite`.
        skip_budget: withheld steps in a row that `NonFinite.SKIP` accepts; one more raises `NonFiniteError`.
        restore_buffers: put the model's buffers back when a step is skipped. The forward pass of an overflowing batch
            has already written inf or NaN into the running statistics of BatchNorm, which no skipped optimizer step
            undoes. Costs one copy of all buffers per step.
        sync_every_backward: under DDP and FSDP2, reduce gradients after every micro-batch, not only after the last.
            Slower, but FSDP2 then never holds whole gradients.

    Raises:
        ValueError: a threshold that is not positive and finite, both thresholds, a budget below 1, or
            `clip_together` without `clip_norm`.
    """

    clip_norm: float | None = None
    clip_value: float | None = None
    clip_together: bool = False
    nonfinite: NonFinite = NonFinite.RAISE
    skip_budget: int = 10
    restore_buffers: bool = False
    sync_every_backward: bool = False

    def __post_init__(self) -> None:
        for name in ("clip_norm", "clip_value"):
            threshold = getattr(self, name)
            if threshold is not None and not (math.isfinite(threshold) and threshold > 0):
                raise ValueError(f"{name} must be a positive finite number, not {threshold!r}")
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError("clip_norm and clip_value were both given; a step clips by one of them")
        if self.clip_together and self.clip_norm is None:
            raise ValueError("clip_together says how to measure clip_norm, which was not given")
        if isinstance(self.skip_budget, bool) or not isinstance(self.skip_budget, int) or self.skip_budget < 1:
            raise ValueError(f"skip_budget must be a whole number of at least 1, not {self.skip_budget!r}")
