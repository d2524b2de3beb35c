"""Hears threads that are started inside an autocast region and compute without it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from ..precision_events import ThreadComputed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Region, Run

# what autocast casts on every device, as programs call it
_PRODUCTS = frozenset({"linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "conv1d", "conv2d", "conv3d", "__matmul__"})


def install(run: Run, patches: Patches) -> None:
    patches.wrap(threading.Thread, "start", lambda original: _start(run, original))
    patches.wrap(ThreadPoolExecutor, "submit", lambda original: _submit(run, original))


def _open(run: Run) -> Region | None:
    regions = run.local.regions
    return regions[-1] if regions and regions[-1].enabled and not run.muted else None


def _start(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def start(thread: Any) -> None:
        region = _open(run)
        if region is not None:
            thread.run = _watched(run, region, run.place(), thread.run)
        original(thread)

    return start


def _submit(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(pool: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        region = _open(run)
        watched = function if region is None else _watched(run, region, run.place(), function)
        return original(pool, watched, *args, **kwargs)

    return submit


def _watched(run: Run, region: Region, place: tuple[str, int], work: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        with _Products(run, region, place):
            return work(*args, **kwargs)

    return watched


class _Products(TorchFunctionMode):
    """Looks at this thread alone, while the region is open, until the first matrix product outside of autocast."""

    def __init__(self, run: Run, region: Region, place: tuple[str, int]) -> None:
        super().__init__()
        self._run = run
        self._region = region
        self._place = place
        self._told = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        wanted = name in _PRODUCTS and self._region.open and not self._told
        if wanted and args and isinstance(args[0], torch.Tensor):
            first = args[0]
            on_device = first.device.type == self._region.device
            if on_device and first.dtype is torch.float32 and not torch.is_autocast_enabled(first.device.type):
                self._told = True
                self._run.emit(
                    ThreadComputed(
                        place=self._place, step=self._run.step, region=self._region, operator=name, dtype="float32"
                    )
                )
        return func(*args, **(kwargs or {}))
