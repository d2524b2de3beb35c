"""Operators that change or share what a tensor is and not what its memory holds: they work on the CUDA tensor itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch._ops import OpOverload


def on_itself(operator: OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Run the CPU's kernel on tensors of the emulated device, for it only reads shapes, strides and storage."""
    import torch

    return operator.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), *args, **kwargs)


def fill(out: Tensor, result: Tensor) -> None:
    """Put a CPU result into a tensor on the emulated device that was passed as `out`, of whatever shape."""
    if out.shape != result.shape:
        resize(out, result.shape)
    out.copy_(result)


def resize(tensor: Tensor, size: Any, *, memory_format: Any = None) -> Tensor:
    """Resize in place; what fits into the old bytes keeps them, as everywhere in PyTorch."""
    import torch

    stretched = torch.empty(size, dtype=tensor.dtype, device=tensor.device, memory_format=memory_format or torch.contiguous_format)
    if stretched.untyped_storage().nbytes() > tensor.untyped_storage().nbytes():
        kept = tensor.untyped_storage().nbytes() // tensor.element_size()
        whole = torch.as_strided(tensor, (kept,), (1,), 0)
        grown = torch.as_strided(stretched, (kept,), (1,), 0)
        grown.copy_(whole)
        storage, offset = stretched.untyped_storage(), 0
    else:
        storage, offset = tensor.untyped_storage(), tensor.storage_offset()
    on_itself(torch.ops.aten.set_.source_Storage_storage_offset, tensor, storage, offset, stretched.shape, stretched.stride())
    return tensor
