"""What a device can train in: each dtype native, emulated or absent, decided by running it; tables only explain."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from amp_runtime.device import DeviceDescription, describe
from amp_runtime.precision import EffectivePrecision, Precision

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = ("fp64", "fp32", "tf32", "bf16", "fp16")

_TORCH_DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
# Any one of these means arithmetic on the format itself, not on a float32 copy.
_CPU_FEATURES = {
    "bf16": ("avx512_bf16", "amx_bf16", "bf16", "svebf16"),
    "fp16": ("avx512_fp16", "amx_fp16", "asimdhp", "fphp"),
}
# From this compute capability on, FP16 arithmetic is in hardware (CUDA C++ programming guide, throughput table).
_FP16_SINCE = (5, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What happened when the dtype was tried."""

    works: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeSupport:
    """How a device runs a dtype.

    Args:
        works: results came out and were right.
        native: the hardware computes in it; False with `works` means emulated: right, but slower than fp32.
        source: where this knowledge comes from.
    """

    works: bool
    native: bool
    reason: str
    source: str

    @property
    def level(self) -> str:
        return "absent" if not self.works else "native" if self.native else "emulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """A device and its support for each of `DTYPES`."""

    device: DeviceDescription
    dtypes: Mapping[str, DtypeSupport]

    @property
    def amp_precisions(self) -> tuple[Precision, ...]:
        """The low-precision formats that work here, best first: native before emulated, then bf16 before fp16."""
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


@functools.cache
def capability_of(device: str = "cpu") -> Capability:
    """Probe a device of this machine; the answer is kept, since it cannot change while the process lives.

    Raises:
        ValueError: a device that is not there or not known.
    """
    return judge(describe(device), probe)


def judge(device: DeviceDescription, try_dtype: Callable[[str, str], Probe]) -> Capability:
    """Combine what a device says of itself with what `try_dtype(torch_device, dtype)` saw on it."""
    return Capability(device=device, dtypes={name: _judge_one(device, name, try_dtype) for name in DTYPES})


def _judge_one(device: DeviceDescription, name: str, try_dtype: Callable[[str, str], Probe]) -> DtypeSupport:
    if name == "tf32" and not device.tf32_native:
        reason = "TF32 is a mode of NVIDIA tensor cores from compute capability 8.0 on"
        return DtypeSupport(works=False, native=False, reason=reason, source="table")
    seen = try_dtype(device.torch_device, name)
    if not seen.works:
        return DtypeSupport(works=False, native=False, reason=seen.detail, source="probe")
    native, reason, source = _explain(device, name)
    return DtypeSupport(works=True, native=native, reason=reason, source=f"probe; {source}")


def _explain(device: DeviceDescription, name: str) -> tuple[bool, str, str]:
    if name in ("fp64", "fp32"):
        return True, f"{device.name} computes in {name}", "every supported device does"
    if device.kind == "cpu":
        return _explain_cpu(device, name)
    if name == "tf32":
        return True, f"{device.name} has TF32 tensor cores", "compute capability"
    if name == "bf16":
        verdict = "has" if device.bf16_native else "has no"
        return bool(device.bf16_native), f"{device.name} {verdict} BF16 arithmetic", "torch.cuda.is_bf16_supported"
    if device.compute_capability is not None and device.compute_capability < _FP16_SINCE:
        return False, f"{device.name} stores FP16 but computes in FP32", "compute capability"
    return True, f"{device.name} has FP16 arithmetic", "compute capability" if device.kind == "cuda" else "ROCm"


def _explain_cpu(device: DeviceDescription, name: str) -> tuple[bool, str, str]:
    features = _CPU_FEATURES[name]
    if device.flags is None:
        return False, f"it works, but nothing says that the CPU computes in {name}", device.flags_source
    present = [feature for feature in features if feature in device.flags]
    if present:
        return True, f"the CPU has {', '.join(present)}", device.flags_source
    return False, f"the CPU has none of {', '.join(features)}, so PyTorch computes in fp32", device.flags_source


def probe(torch_device: str, name: str) -> Probe:
    """Multiply two small matrices in a dtype, forward and backward, and check the numbers.

    The entries are small integers, so every format holds the products exactly; one more sum falls between two
    numbers of the format and must be rounded as the format says, which unmasks a device that computes in another.
    """
    try:
        return _probe_tf32(torch_device) if name == "tf32" else _probe_plain(torch_device, _TORCH_DTYPES[name])
    except (RuntimeError, TypeError, ValueError) as error:  # what PyTorch raises for an operation it lacks
        return Probe(works=False, detail=f"{name} failed on {torch_device}: {str(error).splitlines()[0]}")


def _probe_plain(torch_device: str, dtype: torch.dtype) -> Probe:
    left, right = _integers(torch_device)
    a, b = left.to(dtype).requires_grad_(), right.to(dtype)
    product = a @ b
    (gradient,) = torch.autograd.grad(product.sum(), a)
    one, half_step = torch.tensor([1.0, torch.finfo(dtype).eps / 2], dtype=dtype, device=torch_device)
    if product.dtype != dtype or not torch.equal(product.double(), left.double() @ right.double()):
        return Probe(works=False, detail=f"a product of small integers in {dtype} came out wrong")
    if not torch.equal(gradient, b.sum(1).expand_as(a)):
        return Probe(works=False, detail=f"the gradient of a product in {dtype} came out wrong")
    if not bool((one + half_step == one).item()) or not bool((one + 2 * half_step > one).item()):
        return Probe(works=False, detail=f"{dtype} does not round as its format says")
    return Probe(works=True, detail="products, gradients and rounding are right")


def _probe_tf32(torch_device: str) -> Probe:
    """Check that a product is right to 10 bits and, being TF32, not to float32's 23."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(64, 64, generator=generator).to(torch_device) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        got = left @ right
    finally:
        torch.set_float32_matmul_precision(before)
    error = _relative_error(got, left.double() @ right.double())
    if error > 1e-2:
        return Probe(works=False, detail=f"a TF32 product is off by {error:.1e}")
    if error < 1e-6:
        return Probe(works=False, detail="products stayed in full FP32 although TF32 was allowed")
    return Probe(works=True, detail=f"relative error {error:.1e}, as 10 bits of mantissa give")


def _relative_error(got: Tensor, wanted: Tensor) -> float:
    return float(((got.double() - wanted).norm() / wanted.norm()).item())


def _integers(torch_device: str) -> tuple[Tensor, Tensor]:
    """Return two 16x16 float32 matrices of integers from -2 to 2; products stay below 2**8, bfloat16's exact range."""
    entries = torch.arange(256, device=torch_device)
    left, right = (entries * 7) % 5 - 2, (entries * 11) % 5 - 2
    return left.reshape(16, 16).float(), right.reshape(16, 16).float()
