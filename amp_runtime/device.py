"""What is known about a device before anything runs on it: names, flags, versions. Plain data, so tests invent it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

KINDS = ("cpu", "cuda", "xpu", "mps")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """A device as its drivers and the system describe it.

    Args:
        kind: `"cpu"`, `"cuda"` (NVIDIA), `"rocm"` (AMD, which PyTorch also calls cuda), `"xpu"` (Intel) or `"mps"`.
        torch_device: the name to put tensors there.
        name: for people.
        flags: CPU features in the spelling of Linux; None where no source of them was found.
        flags_source: where the flags come from.
        compute_capability: of an NVIDIA device.
        architecture: of an AMD device, such as `"gfx942"`.
        claims: what the driver of an Intel device says it has arithmetic for, by the names of `capability.DTYPES`.
    """

    kind: str
    torch_device: str
    name: str
    flags: frozenset[str] | None = None
    flags_source: str = ""
    compute_capability: tuple[int, int] | None = None
    architecture: str | None = None
    claims: Mapping[str, bool] = field(default_factory=dict)


def available_devices() -> tuple[str, ...]:
    """Name every device of this machine that `describe` knows: the CPU, then GPUs by number."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if torch.xpu.is_available():
        found += [f"xpu:{number}" for number in range(torch.xpu.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def best_device() -> str:
    """Return `"cuda"`, `"xpu"` or `"mps"`, whichever is there first, else `"cpu"`."""
    kinds = {device.partition(":")[0] for device in available_devices()}
    return next(kind for kind in ("cuda", "xpu", "mps", "cpu") if kind in kinds)


def describe(device: str) -> DeviceDescription:
    """Describe a device of this machine.

    Raises:
        ValueError: no device's name, a type that is not known here, or a device that is not there.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"{device!r} names no device: {str(error).splitlines()[0]}") from error
    if kind not in KINDS:
        raise ValueError(f"device type {kind!r} is not known; use one of {', '.join(KINDS)}")
    if kind == "cpu":
        flags, source = _cpu_flags()
        return DeviceDescription(kind="cpu", torch_device=device, name=_cpu_name(), flags=flags, flags_source=source)
    require_device(device)
    if kind == "mps":
        return DeviceDescription(kind="mps", torch_device=device, name=_mps_name())
    return _describe_xpu(device) if kind == "xpu" else _describe_gpu(device)


def require_device(device: torch.device | str) -> None:
    """Make sure that a device of one of `KINDS` is there; other types are not judged.

    Raises:
        ValueError: PyTorch sees no device of that type, or not so many.
    """
    wanted = torch.device(device)
    if wanted.type not in KINDS:
        return
    there = [name for name in available_devices() if name.startswith(wanted.type)]
    if not there:
        raise ValueError(f"{device} was asked for, but PyTorch sees no {wanted.type.upper()} device")
    if wanted.type != "cpu" and (wanted.index or 0) >= len(there):
        raise ValueError(f"{device} was asked for, but there is only {', '.join(there)}")


def _describe_gpu(device: str) -> DeviceDescription:
    properties = torch.cuda.get_device_properties(torch.device(device))
    rocm = torch.version.hip is not None
    return DeviceDescription(
        kind="rocm" if rocm else "cuda",
        torch_device=device,
        name=properties.name,
        compute_capability=None if rocm else (properties.major, properties.minor),
        architecture=properties.gcnArchName.partition(":")[0] if rocm else None,
    )


def _describe_xpu(device: str) -> DeviceDescription:
    properties = torch.xpu.get_device_properties(torch.device(device))
    # Conversions alone are no arithmetic: only the matrix engines (XMX) multiply bf16, TF32 and int8.
    matrix = bool(properties.has_subgroup_matrix_multiply_accumulate)
    claims = {
        "fp64": bool(properties.has_fp64),
        "fp16": bool(properties.has_fp16),
        "bf16": matrix,
        "tf32": matrix,
        "int8": matrix,
    }
    return DeviceDescription(kind="xpu", torch_device=device, name=properties.name, claims=claims)


def _mps_name() -> str:
    # PyTorch before 2.6 or so cannot name an Apple GPU; then nothing is known of its generation.
    query = getattr(torch.backends.mps, "get_name", None)
    return "Apple GPU" if query is None else str(query())


# PyTorch's names for the features that matter here, in the spelling of /proc/cpuinfo.
_TORCH_FLAGS = {
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "amx_bf16": "amx_bf16",
    "amx_fp16": "amx_fp16",
    "amx_int8": "amx_int8",
    "bf16": "bf16",
    "sve_bf16": "svebf16",
    "fp16_arith": "asimdhp",
    "dot": "asimddp",
    "i8mm": "i8mm",
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
    for key, value in _cpuinfo(path):
        if key in ("flags", "Features"):
            return frozenset(value.split())
    return None


def _cpuinfo(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    parted = (line.partition(":") for line in text.splitlines())
    return [(key.strip(), value.strip()) for key, _, value in parted]


def _cpu_name() -> str:
    known = dict(reversed(_cpuinfo(Path("/proc/cpuinfo"))))
    return f"{known.get('model name') or platform.processor() or platform.machine()} CPU"
