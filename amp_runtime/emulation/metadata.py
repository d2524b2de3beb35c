"""Runs on the CUDA tensor itself what changes or shares shape, strides and storage and not what the memory holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor
    from torch._ops import OpOverload


def on_itself(operator: OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Run the CPU's kernel on tensors of the emulated device, for it only reads shapes, strides and storage."""
    return operator.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), *args, **kwargs)


def fill(out: Tensor, result: Tensor) -> None:
    """Put a CPU result into a tensor on the emulated device that was passed as `out`, of whatever shape."""
    if out.shape != result.shape:
        resize(out, result.shape)
    out.copy_(result)


def resize(tensor: Tensor, size: Any, *, memory_format: Any = None) -> Tensor:
    """Resize in place; what fits into the old bytes keeps them, as everywhere in PyTorch."""
    layout = torch.empty(size, dtype=tensor.dtype, memory_format=memory_format or torch.contiguous_format)
    storage, offset = tensor.untyped_storage(), int(tensor.storage_offset())
    needed = offset + layout.untyped_storage().nbytes() // layout.element_size()
    kept = storage.nbytes() // layout.element_size()
    if needed > kept:
        grown = torch.empty(needed, dtype=tensor.dtype, device=tensor.device)
        grown[:kept].copy_(torch.as_strided(tensor, (kept,), (1,), 0))
        storage = grown.untyped_storage()
    set_ = torch.ops.aten.set_.source_Storage_storage_offset
    on_itself(set_, tensor, storage, offset, layout.shape, layout.stride())
    return tensor
