"""What one training step computes, and the least that it must move between memory and the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils import flop_counter

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire import Kept


def flops_of(step: Callable[[], object]) -> int:
    """Count the floating-point operations of products, convolutions and attention in one step."""
    counter = flop_counter.FlopCounterMode(display=False, custom_mapping=_of_the_cpu())
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]  # it cannot follow torch.autograd.grad
    with counter:
        step()
    return int(counter.get_total_flops())


class _NoModules:
    """Stands for torch's tracker of modules, where only the sum over all of them is wanted."""

    parents = ("Global",)

    def __enter__(self) -> _NoModules:
        return self

    def __exit__(self, *_raised: object) -> None:
        return None


def bytes_of(kept: Kept) -> int:
    """Return the traffic of a step that touches everything it keeps as rarely as it can.

    Each activation is written once and read once. Weights are read forward, backward and by the optimizer, which writes
    them; gradients are written and read; optimizer state is read and written. A copy of a weight is written and read.
    Caches can only save what is read twice, so a step that is bound by memory takes at least these bytes' time.
    """
    return 2 * (kept.activations + kept.weight_copies + kept.gradients + kept.optimizer_state) + 4 * kept.weights


def _of_the_cpu() -> dict[Any, Any]:
    """Return counters for the attention kernels of CPUs, which torch leaves out."""
    aten = torch.ops.aten
    found: dict[str, Callable[..., int]] = {
        "_scaled_dot_product_flash_attention_for_cpu": _forward,
        "_scaled_dot_product_flash_attention_for_cpu_backward": _backward,
    }
    return {getattr(aten, name): count for name, count in found.items() if hasattr(aten, name)}


def _forward(query: Any, key: Any, value: Any, *_args: Any, out_shape: Any = None, **_kwargs: Any) -> int:
    return int(flop_counter.sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _backward(gradient: Any, query: Any, key: Any, value: Any, *_args: Any, out_shape: Any = None, **_: Any) -> int:
    return int(flop_counter.sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]
