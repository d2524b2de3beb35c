"""Makes a build of PyTorch without CUDA, or without a GPU, accept tensors on `cuda:0` and run autograd on them.

Two objects are asked about every device: its guard, which device and stream are current; the hooks of its type,
whether it is an accelerator. A CUDA build replaces its guard by one that does nothing where there is no GPU
(`_ensureCUDADeviceGuardSet`, made for fake tensors), but only if the registered one counts no devices; so one that
counts none is lent for the length of that call.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import torch

from .method_table import ONE, UnsupportedBuildError, redirect

_CUDA = 1  # c10::DeviceType::CUDA, fixed by the format of saved programs
_REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"  # c10::impl::device_guard_impl_registry
_HOOKS = "_ZN2at6detail12getCUDAHooksEv"  # at::detail::getCUDAHooks()
_ALLOCATOR = "_ZN3c1015GetCPUAllocatorEv"  # c10::GetCPUAllocator()
_METHODS = 256  # more than the guard has; every one of them answers 0


def claim_device() -> None:
    """Register a guard for CUDA that knows one device, and count CUDA among the accelerators.

    Raises:
        UnsupportedBuildError: this build does not show what it takes.
    """
    if not hasattr(torch._C, "_ensureCUDADeviceGuardSet"):
        raise UnsupportedBuildError(f"CUDA cannot be emulated with PyTorch {torch.__version__}: use 2.13 or newer")
    include = Path(torch.__file__).parent / "include"
    guard = _ensure_guard()
    current = dict.fromkeys(("getDevice", "exchangeDevice"), ONE)
    redirect(guard, include / "c10/core/impl/DeviceGuardImplInterface.h", current)
    present = dict.fromkeys(("isBuilt", "isAvailable", "hasPrimaryContext", "init"), ONE)
    pinned = {"getPinnedMemoryAllocator": _symbol("c10", _ALLOCATOR)}  # all memory is the host's
    redirect(_hooks(), include / "ATen/detail/AcceleratorHooksInterface.h", present | pinned)
    found = torch.accelerator.current_accelerator()
    if found is None or found.type != "cuda":
        raise UnsupportedBuildError(f"CUDA cannot be emulated: PyTorch {torch.__version__} sees {found} as accelerator")


def _ensure_guard() -> int:
    """Return the address of the guard that does nothing, registered now if it was not."""
    registry = (ctypes.c_void_p * (_CUDA + 1)).from_address(_symbol("c10", _REGISTRY))
    nothing = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 0)
    methods = (ctypes.c_void_p * _METHODS)(*[ctypes.cast(nothing, ctypes.c_void_p).value] * _METHODS)
    instance = ctypes.c_void_p(ctypes.addressof(methods))
    before = registry[_CUDA]
    lent = registry[_CUDA] = ctypes.addressof(instance)
    torch._C._ensureCUDADeviceGuardSet()
    if registry[_CUDA] == lent:
        registry[_CUDA] = before
        raise UnsupportedBuildError(f"CUDA cannot be emulated: PyTorch {torch.__version__} kept the guard of a device")
    address = registry[_CUDA]
    assert address is not None
    return address


def _hooks() -> int:
    getter = ctypes.CFUNCTYPE(ctypes.c_void_p)(_symbol("torch_cpu", _HOOKS))
    address: int = getter()
    return address


def _symbol(library: str, name: str) -> int:
    suffix = "dylib" if sys.platform == "darwin" else "so"
    path = Path(torch.__file__).parent / "lib" / f"lib{library}.{suffix}"
    try:
        loaded = ctypes.CDLL(str(path))
        return ctypes.addressof(ctypes.c_char.in_dll(loaded, name))
    except (OSError, ValueError) as error:
        raise UnsupportedBuildError(f"CUDA cannot be emulated: {path} does not show {name} ({error})") from error
