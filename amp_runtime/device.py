"""What is known about a device before anything runs on it: names, flags, versions. Plain data, so tests invent it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """A device as its drivers and the system describe it.

    Args:
        kind: `"cpu"`, `"cuda"` (NVIDIA) or `"rocm"` (AMD, which PyTorch also calls cuda).
        torch_device: the name to put tensors there.
        flags: CPU features in the spelling of Linux; None where no source of them was found.
        flags_source: where the flags come from.
        compute_capability: of an NVIDIA device.
        bf16_native: what PyTorch says about the GPU, emulation excluded; None for a CPU.
        tf32_native: the same for TF32.
    """

    kind: str
    torch_device: str
    name: str
    flags: frozenset[str] | None = None
    flags_source: str = ""
    compute_capability: tuple[int, int] | None = None
    bf16_native: bool | None = None
    tf32_native: bool | None = None


def describe(device: str) -> DeviceDescription:
    """Describe a device of this machine.

    Raises:
        ValueError: a device type that is not known here, or a GPU that is not there.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        flags, source = _cpu_flags()
        return DeviceDescription(kind="cpu", torch_device=device, name=_cpu_name(), flags=flags, flags_source=source)
    if kind != "cuda":
        raise ValueError(f"device type {kind!r} is not known; use 'cpu' or 'cuda'")
    if not torch.cuda.is_available():
        raise ValueError(f"{device} was asked for, but PyTorch sees no CUDA device")
    return _describe_gpu(device)


def _describe_gpu(device: str) -> DeviceDescription:
    rocm = torch.version.hip is not None
    with torch.cuda.device(torch.device(device)):
        major, minor = torch.cuda.get_device_capability()
        return DeviceDescription(
            kind="rocm" if rocm else "cuda",
            torch_device=device,
            name=torch.cuda.get_device_name(),
            compute_capability=None if rocm else (major, minor),
            bf16_native=torch.cuda.is_bf16_supported(including_emulation=False),
            tf32_native=(major, minor) >= (8, 0) and not rocm,
        )


# PyTorch's names for the features that matter here, in the spelling of /proc/cpuinfo.
_TORCH_FLAGS = {
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_bf16": "amx_bf16",
    "amx_fp16": "amx_fp16",
    "bf16": "bf16",
    "sve_bf16": "svebf16",
    "fp16_arith": "asimdhp",
}


def _cpu_flags() -> tuple[frozenset[str] | None, str]:
    listed = read_cpuinfo(Path("/proc/cpuinfo"))
    if listed is not None:
        return listed, "/proc/cpuinfo"
    # Absent before PyTorch 2.8 or so; then nothing is known where there is no /proc.
    query = getattr(torch.cpu, "get_capabilities", None)
    if query is None:
        return None, "no source of CPU features found"
    known = query()
    return frozenset(linux for theirs, linux in _TORCH_FLAGS.items() if known.get(theirs)), "torch.cpu"


def read_cpuinfo(path: Path) -> frozenset[str] | None:
    """Return the feature flags of the first processor (`flags` on x86, `Features` on Arm); None if not listed."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return None


def _cpu_name() -> str:
    return f"{platform.processor() or platform.machine()} CPU"
