"""How products of float32 matrices are computed for a stretch of code: in full, or in TF32 where there is TF32."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def float32_products(precision: Literal["highest", "high"]) -> Iterator[None]:
    """Compute float32 products in full (`"highest"`), or in TF32 where the device has it (`"high"`).

    A comparison with fp32 means something only with this pinned: on NVIDIA GPUs from compute capability 8.0 on,
    "fp32" is TF32 wherever somebody has allowed it. PyTorch has two sets of switches, which contradict each other once
    both were used (`torch.get_float32_matmul_precision` then raises); both are as they were after the block.
    """
    backends: list[Any] = [torch.backends.cuda, torch.backends.mkldnn]
    matmuls = [backend.matmul for backend in backends if hasattr(backend, "matmul")]
    newer = [(matmul, matmul.fp32_precision) for matmul in matmuls if hasattr(matmul, "fp32_precision")]
    try:
        older = torch.get_float32_matmul_precision()
    except RuntimeError:  # the two contradict each other; then the newer ones say all that counts
        older = "highest"
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(older)
        for matmul, before in newer:
            matmul.fp32_precision = before
