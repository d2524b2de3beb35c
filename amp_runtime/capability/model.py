"""What is known of a device: plain values, so that a test can invent every device there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..precision import EffectivePrecision, Precision

if TYPE_CHECKING:
    from ..device import DeviceDescription

# The two fp8 formats of the Open Compute Project, then AMD's earlier variants without infinities and negative zero.
FP8 = ("fp8_e4m3fn", "fp8_e5m2", "fp8_e4m3fnuz", "fp8_e5m2fnuz")
DTYPES = ("fp64", "fp32", "tf32", "bf16", "fp16", *FP8, "int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What happened when a format was tried.

    Args:
        works: the operation ran and its numbers were right.
        detail: what was checked, or what went wrong, in PyTorch's words where it raised.
    """

    works: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeSupport:
    """How a device runs a format.

    Args:
        works: results came out and were right.
        native: the hardware computes in it; False with `works` means emulated: right, but not faster than fp32.
        reason: one sentence.
        source: where this knowledge comes from.
    """

    works: bool
    native: bool
    reason: str
    source: str

    @property
    def level(self) -> str:
        """`"native"`, `"emulated"` or `"absent"`."""
        return "absent" if not self.works else "native" if self.native else "emulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """A device and its support for each of `DTYPES`."""

    device: DeviceDescription
    dtypes: Mapping[str, DtypeSupport]

    @property
    def amp_precisions(self) -> tuple[Precision, ...]:
        """The low-precision formats that training works in here, best first: native before emulated, bf16 before fp16.

        fp8 and int8 are not among them: autocast knows neither.
        """
        candidates = [p for p in (Precision.BF16, Precision.FP16) if self.dtypes[p.value].works]
        return tuple(sorted(candidates, key=lambda p: not self.dtypes[p.value].native))

    def best_amp(self) -> EffectivePrecision:
        """Return the format for AMP on this device, emulated if need be; fp32 where there is none."""
        for precision in self.amp_precisions:
            support = self.dtypes[precision.value]
            return EffectivePrecision(precision=precision, reason=f"{precision} is {support.level}: {support.reason}")
        return EffectivePrecision(precision=Precision.FP32, reason="no low-precision format works on this device")

    def best_native_amp(self) -> EffectivePrecision:
        """As `best_amp`, but fp32 where AMP would only be emulated and so slower."""
        best = self.best_amp()
        if best.precision.is_low and not self.dtypes[best.precision.value].native:
            return EffectivePrecision(precision=Precision.FP32, reason=f"AMP would be slower here: {best.reason}")
        return best

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data for `json.dumps`: the device, each format, and what `best_native_amp` says."""
        best = self.best_native_amp()
        return {
            "device": self.device.torch_device,
            "kind": self.device.kind,
            "name": self.device.name,
            "amp": {"precision": best.precision.value, "reason": best.reason},
            "dtypes": {
                name: {"level": support.level, "reason": support.reason, "source": support.source}
                for name, support in self.dtypes.items()
            },
        }

    def as_text(self) -> str:
        """Everything as lines for a terminal: one for the device, one for each format, one for AMP."""
        best = self.best_native_amp()
        rows = [
            f"  {name:<13} {support.level:<9} {support.reason} ({support.source})"
            for name, support in self.dtypes.items()
        ]
        title = f"{self.device.torch_device}: {self.device.name}"
        return "\n".join([title, *rows, f"  AMP: {best.precision}, because {best.reason}"])
