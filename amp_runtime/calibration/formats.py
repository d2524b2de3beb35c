"""The number formats that are calibrated: what holds them, how finely results are rounded, and the switch for TF32."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from amp_runtime.float32 import float32_products

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BF16_EPSILON = torch.finfo(torch.bfloat16).eps


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A number format.

    Args:
        name: as profiles spell it.
        dtype: of the operands.
        epsilon: step between 1 and the next number of results; products of fp8 come out in bf16, those of int8 exact.
        known_as: in `amp_runtime.capability.DTYPES`.
    """

    name: str
    dtype: torch.dtype
    epsilon: float
    known_as: str

    def tolerance(self, terms: int) -> float:
        """Return the relative error (2-norm) that results may have which are sums of that many rounded terms.

        Twice the unit roundoff times the root of the number of terms: what rounding each partial sum to the format
        itself gives with high probability (Higham and Mary, "A New Approach to Probabilistic Rounding Error Analysis",
        SIAM J. Sci. Comput. 41(5), 2019), so kernels with wider sums stay far below it.
        """
        return self.epsilon * math.sqrt(max(terms, 4))


def _format(name: str, dtype: torch.dtype, epsilon: float | None = None, known_as: str = "") -> Format:
    step = torch.finfo(dtype).eps if epsilon is None else epsilon
    return Format(name=name, dtype=dtype, epsilon=step, known_as=known_as or name)


FORMATS = {
    found.name: found
    for found in (
        _format("fp64", torch.float64),
        _format("fp32", torch.float32),
        _format("tf32", torch.float32, 2.0**-10),
        _format("bf16", torch.bfloat16),
        _format("fp16", torch.float16),
        _format("fp8_e4m3", torch.float8_e4m3fn, _BF16_EPSILON, "fp8_e4m3fn"),
        _format("fp8_e5m2", torch.float8_e5m2, _BF16_EPSILON),
        _format("int8", torch.int8, 0.0),
    )
}
PRECISIONS = tuple(FORMATS)
FLOATING = ("fp64", "fp32", "bf16", "fp16")
WITH_PRODUCTS = ("fp64", "fp32", "tf32", "bf16", "fp16")  # TF32 is a way to multiply; nothing else differs from fp32


def filled(shape: Sequence[int], number_format: Format, device: torch.device, seed: int = 0) -> torch.Tensor:
    """Return normal numbers in the format (int8: all from -127 to 127), the same for every call with that seed.

    At most 2**20 different numbers are drawn; larger tensors repeat them, since nothing measured here depends on it.
    """
    total = math.prod(shape)
    drawn = min(total, 2**20)
    generator = torch.Generator("cpu").manual_seed(seed)
    if number_format.dtype is torch.int8:
        numbers = torch.randint(-127, 128, (drawn,), generator=generator, dtype=torch.int8, device="cpu")
    else:
        wide = torch.float64 if number_format.dtype is torch.float64 else torch.float32
        numbers = torch.randn(drawn, generator=generator, dtype=wide, device="cpu").to(number_format.dtype)
    numbers = numbers.to(device)
    whole = torch.empty(total, dtype=number_format.dtype, device=device)
    for begin in range(0, total, drawn):
        part = whole[begin : begin + drawn]
        part.copy_(numbers[: part.numel()])
    return whole.reshape(tuple(shape))


@contextlib.contextmanager
def multiplying_as(name: str, device: torch.device) -> Iterator[None]:
    """Compute float32 products and convolutions in full, or in TF32 if that is the name; restored after the block."""
    allowed = name == "tf32"
    with float32_products("high" if allowed else "highest"), _convolutions(device, allowed=allowed):
        yield


@contextlib.contextmanager
def _convolutions(device: torch.device, *, allowed: bool) -> Iterator[None]:
    # cuDNN's own switch; the one for products does not reach it, and its default allows TF32.
    if device.type != "cuda":
        yield
        return
    backend: Any = torch.backends.cudnn
    newer = hasattr(backend, "conv") and hasattr(backend.conv, "fp32_precision")
    before = backend.conv.fp32_precision if newer else backend.allow_tf32
    try:
        if newer:
            backend.conv.fp32_precision = "tf32" if allowed else "ieee"
        else:
            backend.allow_tf32 = allowed
        yield
    finally:
        if newer:
            backend.conv.fp32_precision = before
        else:
            backend.allow_tf32 = before
