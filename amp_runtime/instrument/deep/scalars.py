"""Constants that are not what they say once they meet a half tensor (AMP301, AMP302, AMP303)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from .call import Call, is_float, is_half
from .operators import HALF, short

if TYPE_CHECKING:
    from .facts import Facts

# Added to, compared with, or written among the numbers of the tensor. A factor is another matter: the product is
# rounded, not the constant.
_MEETS = frozenset(
    f"aten.{name}"
    for base in ("add", "sub", "clamp", "clamp_min", "clamp_max", "fill", "masked_fill", "threshold", "where")
    for name in (base, f"{base}_")
) | {"aten.rsub", "aten.full", "aten.full_like", "aten.new_full", "aten.scalar_tensor", "aten.constant_pad_nd"}
_SCALES = frozenset({"aten.mul", "aten.mul_"})
_NOT_OPERANDS = frozenset({"alpha", "dim", "size", "pad", "keepdim"})


def check_scalars(call: Call, facts: Facts) -> None:
    """Look at the constants of a forward operator, before it runs: it may refuse them."""
    name = call.operator.name
    if not call.forward or (name not in _MEETS and name not in _SCALES):
        return
    dtype = _meets(call)
    if dtype is None:
        return
    for argument, value in call.named():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and argument not in _NOT_OPERANDS:
            _check(call, facts, float(value), dtype, scales=name in _SCALES)


def _check(call: Call, facts: Facts, value: float, dtype: torch.dtype, *, scales: bool) -> None:
    if not math.isfinite(value) or value == 0.0:
        return
    rounded = round_to(value, dtype)
    kind = ""
    if math.isinf(rounded):
        kind = "scalar-overflows"
    elif not scales and rounded == 0.0:
        kind = "scalar-vanishes"
    elif not scales and abs(rounded) == 1.0 and abs(value) != 1.0:
        kind = "scalar-becomes-one"
    elif not scales and abs(value) < torch.finfo(dtype).tiny:
        kind = "scalar-vanishes"  # subnormal: few bits, and none where they are flushed
    if kind:
        facts.add(kind, call.place, {"scalar": value, "rounded": rounded}, {"dtype": short(dtype)}, about=str(value))


def _meets(call: Call) -> torch.dtype | None:
    """Return the half type that the constant is used in, or None."""
    floats = [tensor for _, tensor in call.inputs if is_float(tensor) and tensor.dim()]
    floats = floats or [tensor for _, tensor in call.inputs if is_float(tensor)]
    asked: Any = call.argument("dtype")
    if asked is not None:
        return asked if asked in HALF else None
    return floats[0].dtype if floats and all(is_half(tensor) for tensor in floats) else None


@lru_cache(maxsize=1024)
def round_to(value: float, dtype: torch.dtype) -> float:
    """Return the number of a half type that is nearest to a Python number."""
    return float(torch.tensor(value, dtype=torch.float64, device="cpu").to(dtype).item())
