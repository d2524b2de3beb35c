"""What `torch.cuda` and its neighbours answer while one CUDA device is emulated."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from .streams import Event, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "CUDA emulated on the CPU"
CAPABILITY = (8, 0)  # the first with bf16 and TF32


def install(generator: torch.Generator) -> None:
    """Replace what asks a driver, for the rest of the process."""
    torch.cuda._initialized = True
    torch.cuda.default_generators = (generator,)
    for name, answer in {**_device(), **_memory(), **_work()}.items():
        _replace("torch.cuda", name, answer)
    _shut_off_cudnn()
    _shut_off_fused_attention()
    for name, answer in {"current_device_index": lambda: 0, "device_count": lambda: 1, "synchronize": _nothing}.items():
        _replace("torch.accelerator", name, answer)
    for name, answer in _memory().items():
        if hasattr(torch.accelerator, name):
            _replace("torch.accelerator", name, answer)
    for name in ("mark", "range_push", "range_pop", "range_start", "range_end"):
        _replace("torch.cuda.nvtx", name, _nothing)
    for name in ("start", "stop"):
        _replace("torch.cuda.profiler", name, _nothing)
    _replace("torch.nn.parallel", "scatter", _scatter)
    _replace("torch.backends.cuda", "is_built", lambda: True)
    _replace("torch.backends.cudnn", "is_acceptable", lambda tensor: False)


def _replace(module: str, name: str, answer: Any) -> None:
    # Under every name by which the module or its parts know it.
    original = getattr(sys.modules[module], name, None)
    for each in [found for key, found in list(sys.modules.items()) if key == module or key.startswith(f"{module}.")]:
        if each is sys.modules[module] or (original is not None and getattr(each, name, None) is original):
            setattr(each, name, answer)


def _shut_off_cudnn() -> None:
    """Choose PyTorch's own operators for good: a build with cuDNN would call it, and it has no device."""
    torch._C._set_cudnn_enabled(False)
    vars(torch._C)["_set_cudnn_enabled"] = _nothing
    vars(type(torch.backends.cudnn))["enabled"].setter = _nothing


def _shut_off_fused_attention() -> None:
    """Choose the plain formula for good, also for who asks for flash attention: its kernels need a device."""
    for name in ("flash", "mem_efficient", "cudnn", "math"):
        getattr(torch._C, f"_set_sdp_use_{name}")(name == "math")
        vars(torch._C)[f"_set_sdp_use_{name}"] = _nothing


def _device() -> dict[str, Callable[..., Any]]:
    return {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": _set_device,
        "_exchange_device": lambda device: 0,
        "_maybe_exchange_device": lambda device: 0,
        "get_device_name": lambda device=None: NAME,
        "get_device_capability": lambda device=None: CAPABILITY,
        "get_device_properties": lambda device=None: _properties(),
        "get_arch_list": lambda: ["sm_{}{}".format(*CAPABILITY)],
        "is_bf16_supported": lambda including_emulation=True: True,
        "is_tf32_supported": lambda: True,
        "can_device_access_peer": lambda device, peer: False,
    }


def _memory() -> dict[str, Callable[..., Any]]:
    figures = ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved")
    resets = ("empty_cache", "ipc_collect", "reset_peak_memory_stats", "reset_accumulated_memory_stats")
    older = ("reset_max_memory_allocated", "reset_max_memory_cached", "set_per_process_memory_fraction")
    return {
        **dict.fromkeys((*figures, "memory_cached", "max_memory_cached"), lambda device=None: 0),
        **dict.fromkeys((*resets, *older), _nothing),
        "memory_stats": lambda device=None: defaultdict(int),
        "memory_summary": lambda device=None, abbreviated=False: f"{NAME}: memory is the host's, and not counted",
        "memory_snapshot": lambda mempool_id=None: [],
        "mem_get_info": lambda device=None: (_host_bytes(), _host_bytes()),
        "utilization": lambda device=None: 0,
        "memory_usage": lambda device=None: 0,
    }


def _work() -> dict[str, Any]:
    return {
        "synchronize": _nothing,
        "Stream": Stream,
        "Event": Event,
        "current_stream": lambda device=None: Stream(),
        "default_stream": lambda device=None: Stream(),
        "set_stream": _nothing,
        "stream": contextlib.nullcontext,
        "is_current_stream_capturing": lambda: False,
    }


def _nothing(*_: Any, **__: Any) -> None:
    """Do what is left to do where there is no device."""


def _scatter(inputs: Any, target_gpus: Any, dim: int = 0) -> list[Any]:
    """Hand all of a batch to the one device, for DataParallel."""
    return [torch.utils._pytree.tree_map_only(torch.Tensor, lambda each: each.to("cuda"), inputs)]


def _set_device(device: Any) -> None:
    index = device if isinstance(device, int) else torch.device(device).index
    if (index or 0) > 0:
        raise RuntimeError(f"CUDA error: invalid device ordinal: {index}, but one device is emulated")


def _properties() -> SimpleNamespace:
    major, minor = CAPABILITY
    return SimpleNamespace(
        name=NAME,
        major=major,
        minor=minor,
        total_memory=_host_bytes(),
        multi_processor_count=os.cpu_count() or 1,
        warp_size=32,
        is_integrated=0,
        is_multi_gpu_board=0,
        gcnArchName="",
    )


def _host_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
