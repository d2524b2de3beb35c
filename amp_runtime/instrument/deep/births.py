"""Where NaN and infinity come from, and which numbers are on their way there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch

from .records import Birth

if TYPE_CHECKING:
    from .facts import Facts
    from .ranges import Seen, Tensor
    from .sites import Place

_MOST = 64  # births; what comes after so many is their consequence
_NEAR = 0.5  # of float16's largest number

_FINITE, _INFINITE, _NAN = range(3)
_SQUARES = ("aten.square", "aten.square_", "aten.var", "aten.var_mean", "aten.std", "aten.std_mean")
_EXPONENTIALS = ("aten.exp", "aten.exp_", "aten.exp2", "aten.expm1", "aten.sinh", "aten.cosh")
_REDUCTIONS = (
    "aten.sum", "aten.mean", "aten.cumsum", "aten.prod", "aten.cumprod", "aten.norm", "aten.linalg_vector_norm",
    "aten.nansum",
)  # fmt: skip


class Births:
    """Checks each call for numbers that none of its operands explains."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.found: list[Birth] = []
        self._arrived: set[tuple[Place, str]] = set()

    def __call__(self, seen: Seen) -> None:
        self._arrivals(seen)
        if any(told.bounds is None for told in seen.operands):
            return  # part of it nobody has written yet
        worst = max((_state(told) for told in seen.operands), default=_FINITE)
        worst = max(worst, _state_of((seen.worst_scalar,)))
        for result in seen.results:
            state = _FINITE if result.bounds is None else _state(result)
            if state > worst:
                self._born(seen, result, "nan" if state == _NAN else "inf")
            elif state == _FINITE and result.dtype is torch.float16 and seen.place.phase == "forward":
                self._near(seen, result)

    def _arrivals(self, seen: Seen) -> None:
        for told in seen.operands:
            if told.unmade and (state := _state(told)) and (seen.place, told.name) not in self._arrived:
                self._arrived.add((seen.place, told.name))
                self._keep(seen, told, "nan" if state == _NAN else "inf", arrived=True)

    def _born(self, seen: Seen, result: Tensor, kind: Literal["nan", "inf"]) -> None:
        self._keep(seen, result, kind)
        finite = result.error is None or result.error.finite
        if result.half and kind == "inf" and seen.place.phase == "forward" and finite and (family := _family(seen)):
            values = {f"{told.name}_largest": told.largest for told in seen.operands}
            self._facts.add(f"overflow-{family}", seen.place, values, {"dtype": str(result.dtype)[6:]})

    def _keep(self, seen: Seen, result: Tensor, kind: Literal["nan", "inf"], *, arrived: bool = False) -> None:
        if len(self.found) < _MOST:
            birth = Birth(
                kind=kind,
                site=seen.place.site(),
                result=result.record(),
                operands=tuple(told.record() for told in seen.operands),
                number=seen.number,
                arrived=arrived,
                fp32_finite=None if result.error is None else result.error.finite,
            )
            self.found.append(birth)

    def _near(self, seen: Seen, result: Tensor) -> None:
        """Note a number that grew large here; one that was handed on, or is a constant of the program, did not."""
        limit = torch.finfo(torch.float16).max
        known = max((told.largest for told in seen.operands), default=0.0)
        if result.largest > max(_NEAR * limit, known, seen.largest_scalar):
            self._facts.add(
                "near-overflow", seen.place, {"largest": result.largest, "limit": limit}, worst=result.largest
            )


def _state(told: Tensor) -> int:
    return _FINITE if told.bounds is None else _state_of(told.bounds)


def _state_of(numbers: tuple[float, ...]) -> int:
    if any(math.isnan(number) for number in numbers):
        return _NAN
    return _INFINITE if any(math.isinf(number) for number in numbers) else _FINITE


def _family(seen: Seen) -> str:
    """Return which idiom overflowed: "square", "matmul", "reduction", "exp", or ""."""
    name = seen.operator.name
    if name in _SQUARES or (name in ("aten.pow", "aten.pow_") and seen.exponent in (2, 2.0)):
        return "square"
    if name in ("aten.mul", "aten.mul_") and seen.squares:
        return "square"
    if name in _EXPONENTIALS:
        return "exp"
    if name in _REDUCTIONS:
        return "reduction"
    return "matmul" if seen.operator.flops is not None and "conv" not in name else ""
