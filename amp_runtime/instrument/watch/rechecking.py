"""Computes one layer of a forward again without autocast's cache, after weights were written in a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.module import register_module_forward_hook

from ..precision_events import StaleWeightsUsed

if TYPE_CHECKING:
    from ..run import Run

_PATIENCE = 2000  # calls of modules until we stop waiting
_LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def arm(run: Run, module: Any) -> None:
    """Compare the next layer of the module that runs in this region, once."""
    layers = {
        id(one)
        for one in module.modules()
        if isinstance(one, _LAYERS) and one.weight.requires_grad and one.weight.dtype is torch.float32
    }
    if layers:
        _Recheck(run, layers)


class _Recheck:
    def __init__(self, run: Run, layers: set[int]) -> None:
        self._run = run
        self._layers = layers
        self._write = run.local.writes.found[-1]
        self._calls = 0
        self._handle = register_module_forward_hook(self._after)
        run.hooks.append(self._handle)

    def _after(self, module: Any, args: Any, result: Any) -> None:
        self._calls += 1
        regions = self._run.local.regions
        if self._calls > _PATIENCE or not regions or regions[0] is not self._write.region:
            self._handle.remove()
            return
        if id(module) not in self._layers or self._run.muted or not regions[-1].enabled:
            return
        self._handle.remove()
        if not torch.equal(result, self._again(module, args)):
            event = StaleWeightsUsed(
                place=self._run.place(), step=self._run.step, write=self._write, stale=1, casts=1, graph=None
            )
            self._run.emit(event)

    def _again(self, module: Any, args: Any) -> Any:
        """Return what the layer gives when its weights are cast anew."""
        region = self._run.local.regions[-1]
        self._run.local.quiet += 1
        try:
            dtype = getattr(torch, region.dtype)
            with torch.no_grad(), torch.autocast(region.device, dtype=dtype, cache_enabled=False):
                return type(module).forward(module, *args)
        finally:
            self._run.local.quiet -= 1
