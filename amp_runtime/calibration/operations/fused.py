"""Patterns that can be computed in one go, beside the same computed part by part."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch.nn import functional

from amp_runtime.calibration.formats import FLOATING, Format, filled
from amp_runtime.calibration.operations.attention import Attention
from amp_runtime.calibration.operations.conv2d import Convolution, operands

if TYPE_CHECKING:
    from amp_runtime.calibration.operations.contract import Scale

Tensors: TypeAlias = tuple[torch.Tensor, ...]
Computation: TypeAlias = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """A pattern on its operands.

    Args:
        parts: computes it part by part, each result in memory before the next one begins.
        library: PyTorch's own fused way; None where it has none.
        how: which one that is, or why there is none.
        operands: both take; they may be cast to FP64 on the CPU for the reference.
        flops: of one call.
        part_bytes: moved by the parts, each operand read and each result written.
        fused_bytes: moved if every operand of the whole is read once and only the last result is written.
        terms: in the longest sum behind one number.
    """

    pattern: str
    operators: tuple[str, ...]
    shape: tuple[int, ...]
    parts: Computation
    library: Computation | None
    how: str
    operands: Tensors
    flops: int
    part_bytes: int
    fused_bytes: int
    terms: int


def patterns(scale: Scale) -> dict[str, Callable[[Format, torch.device], Fusion]]:
    """Return what prepares each pattern in a format on a device."""
    rows = 8192 if scale.on_gpu else 256 if scale.quick else 512
    width = 1024 if scale.on_gpu else 512
    images = 64 if scale.on_gpu else 1
    length = 1024 if scale.on_gpu else 256
    shape = Convolution(images=images, channels=64, filters=64, side=56, kernel=3)
    attention = Attention(batch=1, heads=8, length=length, width=64, causal=False)
    return {
        "linear_bias_gelu": functools.partial(linear_bias_gelu, rows=rows, width=width),
        "conv_bn_relu": functools.partial(conv_bn_relu, shape=shape),
        "add_layer_norm": functools.partial(add_layer_norm, rows=8 * rows, width=width),
        "attention": functools.partial(softmax_attention, shape=attention),
    }


PATTERN_PRECISIONS = FLOATING


def linear_bias_gelu(number_format: Format, device: torch.device, *, rows: int, width: int) -> Fusion:
    """GELU(x w' + b) with GELU's tanh form, which is the one that fused kernels have."""
    x = filled((rows, width), number_format, device)
    weight, bias = (filled(shape, number_format, device, 1) for shape in ((4 * width, width), (4 * width,)))
    hidden, size = rows * 4 * width, number_format.dtype.itemsize
    inputs = x.numel() + weight.numel() + bias.numel()
    on_cuda = device.type == "cuda" and hasattr(torch, "_addmm_activation")
    return Fusion(
        pattern="linear_bias_gelu",
        operators=("matmul", "add", "gelu"),
        shape=(rows, width, 4 * width),
        parts=lambda x, w, b: functional.gelu((x @ w.t()) + b, approximate="tanh"),
        library=_addmm_gelu
        if on_cuda
        else lambda x, w, b: functional.gelu(functional.linear(x, w, b), approximate="tanh"),
        how="_addmm_activation: one kernel" if on_cuda else "linear adds the bias (addmm), GELU by itself",
        operands=(x, weight, bias),
        flops=2 * rows * width * 4 * width + hidden + 5 * hidden,
        part_bytes=(inputs + 5 * hidden) * size,
        fused_bytes=(inputs + hidden) * size,
        terms=width,
    )


def _addmm_gelu(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch._addmm_activation(bias, x, weight.t(), use_gelu=True)


def conv_bn_relu(number_format: Format, device: torch.device, *, shape: Convolution) -> Fusion:
    """Convolution, batch norm with running statistics, ReLU; fused: its factors folded into the weights beforehand."""
    images, weight = operands(shape, number_format, device)
    mean = filled((shape.filters,), number_format, device, 2)
    variance, gamma, beta = ((filled((shape.filters,), number_format, device, seed).abs() + 0.5) for seed in (3, 4, 5))
    result, size = shape.images * shape.filters * shape.side**2, number_format.dtype.itemsize

    def parts(images: torch.Tensor, weight: torch.Tensor, *norm: torch.Tensor) -> torch.Tensor:
        mean, variance, gamma, beta = norm
        return torch.relu(functional.batch_norm(shape.run(images, weight), mean, variance, gamma, beta))

    folded = _folded(weight, mean, variance, gamma, beta)
    fused, how = _convolution_relu(shape, folded, device)
    moved = shape.numbers_moved + 4 * shape.filters
    return Fusion(
        pattern="conv_bn_relu",
        operators=("conv2d", "batch_norm", "relu"),
        shape=(shape.images, shape.channels, shape.side, shape.side),
        parts=parts,
        library=lambda images, *_: fused(images),
        how=how,
        operands=(images, weight, mean, variance, gamma, beta),
        flops=shape.flops + 3 * result,
        part_bytes=(moved + 4 * result) * size,
        fused_bytes=moved * size,
        terms=shape.channels * shape.kernel**2,
    )


def _folded(weight: torch.Tensor, *norm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    wide = torch.float64 if weight.dtype is torch.float64 else torch.float32
    mean, variance, gamma, beta = (value.to(wide) for value in norm)
    factor = gamma / torch.sqrt(variance + 1e-5)
    new = (weight.to(wide) * factor.reshape(-1, 1, 1, 1)).to(weight.dtype)
    return new, (beta - mean * factor).to(weight.dtype)


def _convolution_relu(
    shape: Convolution, folded: tuple[torch.Tensor, torch.Tensor], device: torch.device
) -> tuple[Computation, str]:
    weight, bias = folded
    around = [shape.kernel // 2] * 2
    one_kernel: Any = getattr(getattr(torch.ops, "mkldnn", None), "_convolution_pointwise", None)
    if device.type == "cuda" and hasattr(torch, "cudnn_convolution_relu"):
        return (
            lambda images: torch.cudnn_convolution_relu(images, weight, bias, [1, 1], around, [1, 1], 1),
            "batch norm folded into the weights, cudnn_convolution_relu",
        )
    if device.type == "cpu" and one_kernel is not None:

        def convolution_relu(images: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = one_kernel(images, weight, bias, around, [1, 1], [1, 1], 1, "relu", [], "")
            return result

        if _runs(convolution_relu, weight.new_zeros(1, shape.channels, shape.kernel, shape.kernel)):
            return convolution_relu, "batch norm folded into the weights, oneDNN's convolution with ReLU"
    return (
        lambda images: torch.relu_(shape.run(images, weight, bias)),
        "batch norm folded into the weights, ReLU in place",
    )


def _runs(call: Computation, images: torch.Tensor) -> bool:
    try:
        call(images)
    except (RuntimeError, TypeError):  # not in this format on this processor, or another signature
        return False
    return True


def add_layer_norm(number_format: Format, device: torch.device, *, rows: int, width: int) -> Fusion:
    """Layer norm of a sum, as after every residual connection."""
    left, right = (filled((rows, width), number_format, device, seed) for seed in (0, 1))
    elements, size = rows * width, number_format.dtype.itemsize
    return Fusion(
        pattern="add_layer_norm",
        operators=("add", "layer_norm"),
        shape=(rows, width),
        parts=lambda left, right: functional.layer_norm(left + right, (width,)),
        library=None,
        how="PyTorch has no eager kernel for it; torch.compile makes one",
        operands=(left, right),
        flops=7 * elements,
        part_bytes=5 * elements * size,
        fused_bytes=3 * elements * size,
        terms=width,
    )


def softmax_attention(number_format: Format, device: torch.device, *, shape: Attention) -> Fusion:
    """softmax(q k' / sqrt(d)) v with each matrix in memory, beside scaled_dot_product_attention."""
    operands = shape.operands(number_format, device)
    scores, size = shape.batch * shape.heads * shape.length**2, number_format.dtype.itemsize

    def parts(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        products = (query @ key.transpose(-2, -1)) / math.sqrt(shape.width)
        return torch.softmax(products, dim=-1) @ value

    return Fusion(
        pattern="attention",
        operators=("matmul", "divide", "softmax", "matmul"),
        shape=(shape.batch, shape.heads, shape.length, shape.width),
        parts=parts,
        library=shape.run,
        how="scaled_dot_product_attention",
        operands=operands,
        flops=shape.flops + 6 * scores,
        part_bytes=(shape.numbers_moved + 6 * scores) * size,
        fused_bytes=shape.numbers_moved * size,
        terms=shape.length + shape.width,
    )
