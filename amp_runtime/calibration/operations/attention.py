"""Scaled dot-product attention, with and without a causal mask, by the kernel that PyTorch picks."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional

from amp_runtime.calibration.formats import WITH_PRODUCTS, Format, filled
from amp_runtime.calibration.operations.contract import Case, Pair, Prepared, Scale, reference

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Self-attention over `length` positions."""

    batch: int
    heads: int
    length: int
    width: int
    causal: bool

    @property
    def flops(self) -> int:
        attended = self.length * (self.length + 1) // 2 if self.causal else self.length**2
        return 4 * self.batch * self.heads * attended * self.width

    @property
    def numbers_moved(self) -> int:
        return 4 * self.batch * self.heads * self.length * self.width

    @property
    def name(self) -> str:
        shape = f"{self.batch}x{self.heads}x{self.length}x{self.width}"
        return f"{shape} causal" if self.causal else shape

    def operands(self, number_format: Format, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        shape = (self.batch, self.heads, self.length, self.width)
        query, key, value = (filled(shape, number_format, device, seed) for seed in range(3))
        return query, key, value

    def run(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one shape without and with a causal mask."""
    if scale.on_gpu:
        batch, heads, length = 8, 16, 2048
    else:
        batch, heads, length = 1, 8, 256 if scale.quick else 512
    shapes = [Attention(batch=batch, heads=heads, length=length, width=64, causal=causal) for causal in (False, True)]
    return tuple(case(shape) for shape in shapes)


def case(shape: Attention) -> Case:
    """Return the case of one shape."""
    pairs = "L(L+1)/2 pairs that the mask leaves" if shape.causal else "L^2 pairs"
    return Case(
        operation="attention_causal" if shape.causal else "attention",
        name=shape.name,
        size=shape.length,
        flops=shape.flops,
        bytes_moved=lambda number_format: shape.numbers_moved * number_format.dtype.itemsize,
        precisions=WITH_PRODUCTS,
        terms=shape.length + shape.width,
        prepare=functools.partial(_prepare, shape=shape),
        counted=f"4 B H D FLOPs for each of the {pairs}, softmax not counted; bytes: query, key, value and result once",
    )


def _prepare(number_format: Format, device: torch.device, shape: Attention) -> Prepared:
    operands = shape.operands(number_format, device)

    def sampled(result: torch.Tensor) -> Pair:
        wanted = shape.run(*(reference(operand[-1:, -1:]) for operand in operands))
        return reference(result[-1:, -1:]), wanted

    return Prepared(call=lambda: shape.run(*operands), sampled=sampled)
