"""Products of matrices: square ones from small to large, and one that is long and thin."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from amp_runtime.calibration.formats import FORMATS, PRECISIONS, Format, filled
from amp_runtime.calibration.operations.contract import Case, Pair, Prepared, Scale, reference, spread_out

_COUNTED = "2mkn FLOPs (a multiplication and an addition each); bytes: both operands read and the result written once"
# Hopper's fp8 products take at most one operand in e5m2.
_PARTNER = {"fp8_e5m2": "fp8_e4m3"}
_RESULT_BYTES = {"int8": 4, "fp8_e4m3": 2, "fp8_e5m2": 2}


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return the products to time, smallest first."""
    if scale.on_gpu:
        sides = (1024, 4096) if scale.quick else (512, 1024, 2048, 4096, 8192)
        skinny = (16, 4096, 4096)
    else:
        sides = (256, 1024) if scale.quick else (128, 256, 512, 1024, 2048)
        skinny = (16, 1024, 1024)
    return tuple(case(m, k, n) for m, k, n in (*((side, side, side) for side in sides), skinny))


def case(m: int, k: int, n: int) -> Case:
    """Return the product of an m x k and a k x n matrix; in int8 and fp8, m > 16 and multiples of 16 are safe."""
    return Case(
        operation="matmul",
        name=f"{m}x{k}x{n}",
        size=m if m == k == n else m * n,
        flops=2 * m * k * n,
        bytes_moved=lambda number_format: _bytes_moved(number_format, m, k, n),
        precisions=PRECISIONS,
        terms=k,
        prepare=lambda number_format, device: prepare(number_format, device, m, k, n),
        counted=_COUNTED,
    )


def _bytes_moved(number_format: Format, m: int, k: int, n: int) -> int:
    itemsize = number_format.dtype.itemsize
    return (m * k + k * n) * itemsize + m * n * _RESULT_BYTES.get(number_format.name, itemsize)


def prepare(number_format: Format, device: torch.device, m: int, k: int, n: int) -> Prepared:
    """Lay out an m x k and a k x n matrix; the call writes into the same memory every time."""
    left = filled((m, k), number_format, device)
    partner = FORMATS[_PARTNER.get(number_format.name, number_format.name)]
    by_column = number_format.name.startswith("fp8") or (number_format.name == "int8" and device.type == "cuda")
    right = filled((n, k), partner, device, 1).t() if by_column else filled((k, n), partner, device, 1)
    return Prepared(
        call=_product(number_format, left, right), sampled=functools.partial(_sampled, left=left, right=right)
    )


def _product(number_format: Format, left: torch.Tensor, right: torch.Tensor) -> Callable[[], torch.Tensor]:
    shape, device = (left.shape[0], right.shape[1]), left.device
    if number_format.name == "int8":
        sums = torch.empty(shape, dtype=torch.int32, device=device)
        return lambda: torch._int_mm(left, right, out=sums)
    if number_format.name.startswith("fp8"):
        one = torch.ones((), dtype=torch.float32, device=device)
        return lambda: torch._scaled_mm(left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    into = torch.empty(shape, dtype=left.dtype, device=device)
    return lambda: torch.mm(left, right, out=into)


def _sampled(result: torch.Tensor, *, left: torch.Tensor, right: torch.Tensor) -> Pair:
    rows = spread_out(16, left.shape[0]).to(left.device)
    columns = spread_out(64, right.shape[1]).to(left.device)
    # fp8 has no indexing: first the values in a format that holds them all.
    wide = torch.float32 if left.dtype.itemsize == 1 else left.dtype
    wanted = reference(left.to(wide)[rows]) @ reference(right.to(wide)[:, columns])
    return reference(result[rows][:, columns]), wanted
