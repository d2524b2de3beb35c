"""Operators for which the host waits for the device (AMP803)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch

from .records import SyncSeen

if TYPE_CHECKING:
    from .call import Call
    from .sites import Place

_WAIT = frozenset(
    f"aten.{name}"
    for name in (
        "_local_scalar_dense", "nonzero", "masked_select", "unique_consecutive", "unique_dim", "_unique", "_unique2",
        "equal", "bincount", "allclose",
    )
)  # fmt: skip
_MASKED = frozenset({"aten.index", "aten.index_put_", "aten.index_put", "aten._index_put_impl_"})


class Syncs:
    """Counts them. On the CPU nothing waits, but the same line would on an accelerator."""

    def __init__(self) -> None:
        self._count: Counter[tuple[Place, str]] = Counter()

    def before(self, call: Call) -> None:
        if self._waits(call) and not _on_cpu_by_design(call):
            devices = [tensor.device.type for _, tensor in call.inputs]
            device = next((device for device in devices if device != "cpu"), "cpu")
            self._count[call.place, device] += 1

    def records(self) -> tuple[SyncSeen, ...]:
        return tuple(
            SyncSeen(site=place.site(), device=device, would=device == "cpu", count=count)
            for (place, device), count in self._count.items()
        )

    @staticmethod
    def _waits(call: Call) -> bool:
        name = call.operator.name
        if name in _WAIT:
            return True
        if name in _MASKED:
            return _looks_for_places(call)
        if name == "aten.repeat_interleave":
            return call.argument("output_size") is None
        return name in ("aten._to_copy", "aten.copy_") and _comes_to_the_host(call)


def _looks_for_places(call: Call) -> bool:
    """Whether a mask must be turned into indices; `x[mask] = constant` need not."""
    masks = [tensor for name, tensor in call.inputs if name == "indices" and tensor.dtype in (torch.bool, torch.uint8)]
    values = call.argument("values")
    fills = isinstance(values, torch.Tensor) and values.numel() == 1 and len(masks) == 1
    return bool(masks) and not fills


def _comes_to_the_host(call: Call) -> bool:
    if call.argument("non_blocking"):
        return False
    if call.operator.name == "aten.copy_":
        to, source = call.args[0], call.args[1]
        return bool(to.device.type == "cpu" and source.device.type != "cpu")
    device = call.argument("device")
    return device is not None and torch.device(device).type == "cpu" and call.args[0].device.type != "cpu"


def _on_cpu_by_design(call: Call) -> bool:
    """Whether it is an optimizer's step count, which is on the CPU wherever the parameters are."""
    return (
        call.place.phase == "optimizer"
        and all(tensor.device.type == "cpu" and not tensor.dim() for _, tensor in call.inputs)
        and call.operator.name == "aten._local_scalar_dense"
    )
