"""Hears forwards of DistributedDataParallel, and the program's own exchanges between ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from ..faults import NAN_BATCH
from ..scaling_events import ParallelForward, RanksAgreed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run

_EXCHANGES = (
    "all_reduce",
    "all_gather",
    "all_gather_object",
    "broadcast",
    "broadcast_object_list",
    "reduce",
    "barrier",
)


def install(run: Run, patches: Patches) -> None:
    if not torch.distributed.is_available():
        return
    parallel = torch.nn.parallel.DistributedDataParallel
    patches.wrap(parallel, "forward", lambda original: _forward(run, original))
    for name in _EXCHANGES:
        patches.wrap(torch.distributed, name, lambda original: _exchange(run, original))


def _forward(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def forward(module: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(module, *args, **kwargs)
        if torch.compiler.is_compiling() or run.muted or not torch.is_grad_enabled() or not module.training:
            return result
        if module.require_backward_grad_sync:  # else, under no_sync, nobody waits for its backward
            run.emit(ParallelForward(place=run.place(), step=run.step, module=module, finite=_finite(run, result)))
        return result

    return forward


def _finite(run: Run, result: Any) -> bool | None:
    """Whether all that a forward gives is finite; None where reading it would wait for a device."""
    if run.planted == NAN_BATCH:
        return False
    tensors = list(_tensors(result))
    if not run.close or any(one.device.type != "cpu" for one in tensors):
        return None
    return all(bool(one.isfinite().all()) for one in tensors if one.is_floating_point())


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value.detach()
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)


def _exchange(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def exchange(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not run.muted and not run.local.backward:
            run.emit(RanksAgreed(place=run.place(), step=run.step))
        return result

    return exchange
