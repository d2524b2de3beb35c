"""Explains what was seen to work: whether the hardware computes in the format, and how one knows.

Sources: CUDA C++ Programming Guide, "Arithmetic Instructions" (throughput by compute capability) and the PTX ISA for
dp4a; "Datatype and hardware support matrix" of Transformer Engine for fp8; "Data types and precision support" of the
ROCm documentation; the Intel and Arm architecture manuals behind the kernel's names of CPU features; for Apple GPUs
the maintainers of metal-flash-attention (issue 17), since Apple documents support of bfloat16 but not its speed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .model import FP8

if TYPE_CHECKING:
    from ..device import DeviceDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether the hardware computes in a format that works, one sentence, and where that is known from."""

    native: bool
    reason: str
    source: str


# Any one of these means arithmetic on the format itself, not on a float32 copy.
CPU_FEATURES = {
    "bf16": ("avx512_bf16", "amx_bf16", "bf16", "svebf16"),
    "fp16": ("avx512_fp16", "amx_fp16", "asimdhp", "fphp"),
    "int8": ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "svei8mm"),
}
CUDA_SINCE = {
    "fp16": (5, 3),
    "int8": (6, 1),
    "bf16": (8, 0),
    "tf32": (8, 0),
    "fp8_e4m3fn": (8, 9),
    "fp8_e5m2": (8, 9),
}
# Pascal's desktop chips have FP16 instructions at 1/64 of the FP32 rate, so libraries compute in FP32 there.
CUDA_CRAWLS = {("fp16", (6, 1))}
ROCM_ARCHITECTURES = {
    "fp16": ("gfx8", "gfx9", "gfx10", "gfx11", "gfx12"),
    "bf16": ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12"),
    "tf32": ("gfx94",),
    "fp8_e4m3fnuz": ("gfx94",),
    "fp8_e5m2fnuz": ("gfx94",),
    "fp8_e4m3fn": ("gfx95", "gfx12"),
    "fp8_e5m2": ("gfx95", "gfx12"),
    "int8": ("gfx906", "gfx908", "gfx90a", "gfx94", "gfx95", "gfx1011", "gfx1012", "gfx103", "gfx11", "gfx12"),
}
_APPLE_BF16_SINCE = 3  # the M3


def explain(device: DeviceDescription, name: str) -> Explanation:
    """Explain a format of `DTYPES` that was seen to work on the device."""
    if name == "fp32":
        return Explanation(native=True, reason=f"{device.name} computes in fp32", source="every supported device does")
    if device.kind == "cpu":
        return _explain_cpu(device, name)
    if device.kind == "cuda":
        return _explain_cuda(device, name)
    if device.kind == "rocm":
        return _explain_rocm(device, name)
    return _explain_xpu(device, name) if device.kind == "xpu" else _explain_mps(device, name)


def _explain_cpu(device: DeviceDescription, name: str) -> Explanation:
    if name == "fp64":
        return Explanation(native=True, reason="CPUs compute in fp64", source="every supported CPU does")
    if name == "tf32":
        return Explanation(native=True, reason="its products are as exact as TF32's", source="no table; the numbers")
    if name in FP8:
        reason = "PyTorch converts fp8 to a wider format before a CPU multiplies it"
        return Explanation(native=False, reason=reason, source="no supported CPU has fp8 products that PyTorch uses")
    features = CPU_FEATURES[name]
    if device.flags is None:
        reason = f"it works, but nothing says that the CPU computes in {name}"
        return Explanation(native=False, reason=reason, source=device.flags_source)
    present = [feature for feature in features if feature in device.flags]
    if present:
        return Explanation(native=True, reason=f"the CPU has {', '.join(present)}", source=device.flags_source)
    wider = "int32" if name == "int8" else "fp32"
    reason = f"the CPU has none of {', '.join(features)}, so PyTorch computes in {wider}"
    return Explanation(native=False, reason=reason, source=device.flags_source)


def _explain_cuda(device: DeviceDescription, name: str) -> Explanation:
    if name == "fp64":
        return Explanation(native=True, reason=f"{device.name} computes in fp64", source="every CUDA device does")
    if device.compute_capability is None or name not in CUDA_SINCE:
        return _unknown(device, name)
    major, minor = device.compute_capability
    source = f"compute capability {major}.{minor}"
    if (name, (major, minor)) in CUDA_CRAWLS:
        reason = f"{device.name} has {name} at 1/64 of its fp32 rate, so libraries compute in fp32"
        return Explanation(native=False, reason=reason, source=source)
    since = CUDA_SINCE[name]
    if (major, minor) >= since:
        return Explanation(native=True, reason=f"{device.name} has {name} arithmetic", source=source)
    reason = f"{device.name} stores {name} but computes in a wider format: {name} came with {since[0]}.{since[1]}"
    return Explanation(native=False, reason=reason, source=source)


def _explain_rocm(device: DeviceDescription, name: str) -> Explanation:
    # torch.cuda.is_bf16_supported() says yes to every AMD GPU, emulation excluded or not, so it is not asked.
    if name == "fp64":
        return Explanation(native=True, reason=f"{device.name} computes in fp64", source="every ROCm device does")
    if not device.architecture:
        return _unknown(device, name)
    source = f"architecture {device.architecture}"
    if device.architecture.startswith(ROCM_ARCHITECTURES[name]):
        return Explanation(native=True, reason=f"{device.name} has {name} arithmetic", source=source)
    return Explanation(native=False, reason=f"{device.name} has no {name} arithmetic", source=source)


def _explain_xpu(device: DeviceDescription, name: str) -> Explanation:
    claim = device.claims.get(name)
    if claim is None:
        return _unknown(device, name)
    verdict = "has" if claim else "has no"
    reason = f"{device.name} {verdict} {name} arithmetic"
    return Explanation(native=claim, reason=reason, source="torch.xpu.get_device_properties")


def _explain_mps(device: DeviceDescription, name: str) -> Explanation:
    if name == "fp16":
        reason = "Apple GPUs compute in fp16"
        return Explanation(native=True, reason=reason, source="Metal: half is arithmetic on every GPU")
    generation = re.match(r"Apple M(\d+)", device.name)
    if name != "bf16" or generation is None:
        return _unknown(device, name)
    if int(generation[1]) >= _APPLE_BF16_SINCE:
        return Explanation(native=True, reason=f"{device.name} has bf16 arithmetic", source="name of the GPU")
    reason = f"{device.name} has no bf16 arithmetic, so it computes in fp32"
    return Explanation(native=False, reason=reason, source="name of the GPU")


def _unknown(device: DeviceDescription, name: str) -> Explanation:
    reason = f"it works, but nothing says that {device.name} computes in {name}"
    return Explanation(native=False, reason=reason, source="no table covers it")
