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
    with flop_counter.FlopCounterMode(display=False, custom_mapping=_of_the_cpu()) as counter:
        step()
    return int(counter.get_total_flops())


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
    found = {
        "_scaled_dot_product_flash_attention_for_cpu": getattr(flop_counter, "sdpa_flop", None),
        "_scaled_dot_product_flash_attention_for_cpu_backward": getattr(flop_counter, "sdpa_backward_flop", None),
    }
    return {getattr(aten, name): count for name, count in found.items() if count is not None and hasattr(aten, name)}
