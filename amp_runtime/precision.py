"""Which precision a training run really gets, from what was asked for, the AMP switch and the hardware. No torch."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .config_table import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class Precision(enum.StrEnum):
    """The format that matrix products of the forward pass run in; weights stay float32 in all three."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"

    @property
    def is_low(self) -> bool:
        """Whether matrix products run in a 16-bit format."""
        return self is not Precision.FP32

    @property
    def needs_loss_scaling(self) -> bool:
        """Whether gradients can underflow: float16 ends at 6e-8, bfloat16 has float32's range."""
        return self is Precision.FP16

    @classmethod
    def parse(cls, name: str) -> Precision:
        """Read the name of a precision in the spelling of this library, PyTorch, Lightning or Accelerate.

        Raises:
            ConfigError: an unknown name, or one that means half-precision weights, which is not mixed precision.
        """
        name = str(name)
        if name in _TRUE_HALF:
            raise ConfigError(
                f"precision {name!r} keeps the weights themselves in half precision, where small updates round to "
                "nothing; mixed precision is 'bf16' or 'fp16'"
            )
        spellings = {precision.value: precision for precision in cls} | _SPELLINGS
        if name not in spellings:
            raise ConfigError(f"precision {name!r} is not known{nearest(name, spellings)} (fp32, bf16, fp16)")
        return spellings[name]


_SPELLINGS = {
    "32": Precision.FP32,
    "32-true": Precision.FP32,
    "float32": Precision.FP32,
    "no": Precision.FP32,
    "bf16-mixed": Precision.BF16,
    "bfloat16": Precision.BF16,
    "16": Precision.FP16,
    "16-mixed": Precision.FP16,
    "float16": Precision.FP16,
}
_TRUE_HALF = ("16-true", "bf16-true")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePrecision:
    """The precision a run gets and one sentence that says why."""

    precision: Precision
    reason: str


def compute_effective_precision(
    requested_precision: str, use_amp: bool | None, cuda_available: bool, use_gpu: bool
) -> str:
    """Decide between `'16'`, `'32'` and the request, for tools that know only CUDA and a switch.

    The table of the tier-3 training utilities (task T035): without a switch the request stands; the switch
    wins over the request; AMP needs CUDA that is there and wanted. `effective_precision` is its successor,
    which also knows bfloat16 and the CPU.
    """
    if use_amp is None:
        return requested_precision
    return "16" if use_amp and cuda_available and use_gpu else "32"


def effective_precision(
    requested: Precision, use_amp: bool | None, available: Sequence[Precision]
) -> EffectivePrecision:
    """Decide the precision of a run.

    Args:
        requested: what the configuration names.
        use_amp: the switch; None leaves the request alone.
        available: the low-precision formats this device can train in, best first (`Capability.amp_precisions`).

    What the device cannot do is never pretended: the result then falls back, and the reason says to what and why.
    """
    if use_amp is False:
        return EffectivePrecision(precision=Precision.FP32, reason="AMP is switched off, which overrides any request")
    if use_amp is None and not requested.is_low:
        return EffectivePrecision(precision=Precision.FP32, reason="fp32 was requested and the AMP switch is not set")
    if requested.is_low and requested in available:
        return EffectivePrecision(precision=requested, reason=f"{requested} was requested and the device can run it")
    wanted = f"{requested} was requested" if requested.is_low else "AMP is switched on"
    if use_amp and available:
        lacks = ", the device lacks it" if requested.is_low else ""
        return EffectivePrecision(
            precision=available[0], reason=f"{wanted}{lacks}; {available[0]} is the best this device has for AMP"
        )
    lacks = "the device cannot run it" if requested.is_low else "the device has no low-precision format for AMP"
    return EffectivePrecision(precision=Precision.FP32, reason=f"{wanted}, but {lacks}; training stays in fp32")
