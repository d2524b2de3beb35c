"""Operands outside of what an operator can take with the digits that are left (AMP307, AMP310)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .operators import HALF, short

if TYPE_CHECKING:
    from .facts import Facts
    from .ranges import Seen, Tensor

_ANGLE = 0.1  # radians by which an angle may be off
_PERIODIC = frozenset({"aten.sin", "aten.sin_", "aten.cos", "aten.cos_", "aten.polar"})
_ROOTS = frozenset({"aten.sqrt", "aten.sqrt_", "aten.rsqrt", "aten.rsqrt_"})


def check_domains(seen: Seen, facts: Facts) -> None:
    """Look at the ranges of a call's first operand, once they are known."""
    if seen.place.phase != "forward" or not seen.operands or seen.operands[0].bounds is None:
        return
    operand = seen.operands[0]
    if seen.operator.name in _PERIODIC:
        _check_angle(seen, operand, facts)
    elif seen.operator.name in _ROOTS or (seen.operator.name == "aten.pow" and seen.exponent in (0.5, -0.5)):
        _check_root(seen, operand, facts)


def _check_angle(seen: Seen, operand: Tensor, facts: Facts) -> None:
    """Compare with the shadow where there is one; a half number by itself is off by half a unit in its last place."""
    off = 0.0 if operand.error is None else operand.error.absolute
    if operand.dtype in HALF:
        off = max(off, operand.largest * torch.finfo(operand.dtype).eps / 2)
    if off > _ANGLE and math.isfinite(operand.largest):
        values = {"largest": operand.largest, "error_radians": off}
        facts.add("imprecise-angle", seen.place, values, {"dtype": short(operand.dtype)}, worst=off)


def _check_root(seen: Seen, operand: Tensor, facts: Facts) -> None:
    low = operand.bounds[0] if operand.bounds else 0.0
    if low < 0.0 and operand.half:
        values = {"low": low}
        if operand.error is not None:
            values["fp32_low"] = operand.error.low
        facts.add("negative-root", seen.place, values, {"dtype": short(operand.dtype)}, worst=-low)
