"""How a run uses mixed precision: one frozen value, refused at construction where it contradicts itself. No torch."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.precision import Precision

if TYPE_CHECKING:
    from amp_runtime.capability import Capability

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossScaling:
    """Dynamic loss scaling for float16 gradients; the defaults are those of `torch.amp.GradScaler`.

    Args:
        init_scale: first factor on the loss.
        growth_factor: on the scale after `growth_interval` good steps in a row.
        backoff_factor: on the scale after a step with inf or NaN gradients.
        growth_interval: good steps between two growths.
        collapse_patience: skipped steps with a scale below 1 after which training stops with `ScaleCollapseError`.

    Raises:
        ValueError: a figure with which scaling cannot work. GradScaler itself accepts most of them in silence.
    """

    init_scale: float = 65536.0
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: int = 2000
    collapse_patience: int = 10

    def __post_init__(self) -> None:
        if isinstance(self.init_scale, bool) or not (math.isfinite(self.init_scale) and self.init_scale > 0):
            raise ValueError(f"init_scale must be a positive finite number, not {self.init_scale!r}")
        if not (math.isfinite(self.growth_factor) and self.growth_factor > 1):
            raise ValueError(f"growth_factor must be finite and above 1, not {self.growth_factor!r}")
        if not 0 < self.backoff_factor < 1:
            raise ValueError(f"backoff_factor must lie between 0 and 1, not {self.backoff_factor!r}")
        for name in ("growth_interval", "collapse_patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmpConfig:
    """The precision of a run, why it is that one, and its loss scaling. It never touches hyper-parameters.

    Args:
        precision: of the forward pass.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`.
        reason: one sentence that says where the choice comes from.
        loss_scaling: only with FP16, where None means `LossScaling()`.

    Raises:
        ValueError: loss scaling with a precision that does not need it.
    """

    precision: Precision = Precision.FP32
    device: str = "cpu"
    reason: str = "chosen by the caller"
    loss_scaling: LossScaling | None = None

    def __post_init__(self) -> None:
        if self.loss_scaling is not None and not self.precision.needs_loss_scaling:
            raise ValueError(
                f"loss_scaling was given with {self.precision}, whose gradients do not underflow; "
                "drop it, or choose Precision.FP16"
            )
        if self.precision.needs_loss_scaling and self.loss_scaling is None:
            object.__setattr__(self, "loss_scaling", LossScaling())

    @property
    def enabled(self) -> bool:
        return self.precision.is_low

    @classmethod
    def auto(cls, device: str = "cpu", *, capability: Capability | None = None) -> AmpConfig:
        """Take the best format the device runs natively, or fp32 where it would only emulate one.

        Emulated formats give the right numbers but are slower than fp32; ask for them by name
        (`force_bf16`, `force_fp16`) where numerics, not speed, are the point.
        """
        known = capability or _capability_of(device)
        best = known.best_native_amp()
        return cls(precision=best.precision, device=device, reason=best.reason)

    @classmethod
    def force_bf16(cls, device: str = "cpu", *, capability: Capability | None = None) -> AmpConfig:
        """Use bfloat16. Raises ValueError where the device cannot run it; logs where it only emulates it."""
        return cls(precision=Precision.BF16, device=device, reason=_demand(Precision.BF16, device, capability))

    @classmethod
    def force_fp16(
        cls, device: str = "cpu", *, capability: Capability | None = None, loss_scaling: LossScaling | None = None
    ) -> AmpConfig:
        """Use float16 with loss scaling. Raises ValueError where the device cannot run it."""
        reason = _demand(Precision.FP16, device, capability)
        return cls(precision=Precision.FP16, device=device, reason=reason, loss_scaling=loss_scaling)


def _capability_of(device: str) -> Capability:
    # Imported here: a configuration can be read and checked on a machine without torch.
    from amp_runtime.capability import capability_of  # noqa: PLC0415

    return capability_of(device)


def _demand(precision: Precision, device: str, capability: Capability | None) -> str:
    support = (capability or _capability_of(device)).dtypes[precision.value]
    if not support.works:
        raise ValueError(f"{precision} was demanded, but {device} cannot run it: {support.reason}")
    if not support.native:
        _log.warning("%s on %s is emulated, so expect it to be slower than fp32: %s", precision, device, support.reason)
    return f"demanded by the caller; {support.reason}"
