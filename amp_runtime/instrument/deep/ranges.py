"""Smallest and largest element of everything an operator reads and makes, and what is checked on them later.

A range is computed once, where the numbers are made, and kept with their memory; nothing is read from the device until
many have come together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from .call import Call, is_float, is_half
from .operators import Operator, short
from .records import Operand

if TYPE_CHECKING:
    from .memory import Cell, Error, Memory
    from .names import Names
    from .readings import Readings
    from .sites import Place

Range = tuple[torch.Tensor, torch.Tensor]
Bounds = tuple[float, float] | None


class Tensor:
    """What is told of a tensor once it is gone."""

    __slots__ = ("bounds", "dtype", "error", "half", "name", "origin", "shape", "unmade")

    def __init__(self, name: str, tensor: torch.Tensor) -> None:
        self.name = name
        self.dtype = tensor.dtype
        self.shape = tuple(tensor.shape)
        self.half = is_half(tensor)
        self.origin = ""
        self.error: Error | None = None
        self.bounds: Bounds = None
        self.unmade = False  # no operator that was seen wrote it

    @property
    def largest(self) -> float:
        return math.nan if self.bounds is None else max(abs(self.bounds[0]), abs(self.bounds[1]))

    def record(self) -> Operand:
        low, high = (None, None) if self.bounds is None else self.bounds
        return Operand(
            name=self.name, dtype=short(self.dtype), shape=self.shape, origin=self.origin, low=low, high=high
        )


class Seen:
    """An operator call without its tensors, with their ranges."""

    __slots__ = (
        "exponent",
        "largest_scalar",
        "number",
        "operands",
        "operator",
        "place",
        "results",
        "squares",
        "worst_scalar",
    )

    def __init__(self, call: Call) -> None:
        self.operator: Operator = call.operator
        self.place: Place = call.place
        self.number = call.number
        self.operands: list[Tensor] = []
        self.results: list[Tensor] = []
        exponent = call.argument("exponent")
        self.exponent = exponent if isinstance(exponent, (int, float)) else None
        scalars = [abs(value) for name, value in call.named() if name != "exponent" and isinstance(value, float)]
        self.worst_scalar = max((value for value in scalars if not math.isfinite(value)), key=math.isnan, default=0.0)
        self.largest_scalar = max((value for value in scalars if math.isfinite(value)), default=0.0)
        self.squares = len(call.inputs) == 2 and _same(call.inputs[0][1], call.inputs[1][1])


Check = Callable[[Seen], None]


class Ranges:
    """Follows the ranges of one step and hands each call to the checks, in order, when its figures have been read."""

    def __init__(self, memory: Memory, readings: Readings, names: Names, checks: tuple[Check, ...]) -> None:
        self._memory = memory
        self._readings = readings
        self._names = names
        self._checks = checks

    def before(self, call: Call) -> tuple[Seen, list[Range | None]] | None:
        """Take the ranges of the operands; of those that are overwritten without being read, none."""
        if not call.computes or call.operator.empty:
            return None
        seen = Seen(call)
        ranges: list[Range | None] = []
        for name, tensor in call.inputs:
            if is_float(tensor) and not (call.operator.overwrites and name in call.operator.written):
                seen.operands.append(told := self._tell(name, tensor))
                ranges.append(self._range(tensor, told))
        return seen, ranges

    def after(self, call: Call, begun: tuple[Seen, list[Range | None]] | None) -> None:
        for _, tensor in call.results:
            self._wrote(call, tensor)
        if begun is None:
            return
        seen, operands = begun
        ranges = list(operands)
        for name, tensor in call.results:
            if is_float(tensor):
                seen.results.append(told := self._tell(name, tensor))
                ranges.append(self._range(tensor, told))
        asked = [tensor for found in ranges if found is not None for tensor in found]
        if not seen.results or not asked:
            return

        def read(values: list[float]) -> None:
            given = iter(values)
            for told, found in zip((*seen.operands, *seen.results), ranges, strict=True):
                told.bounds = None if found is None else (next(given), next(given))
            for check in self._checks:
                check(seen)

        self._readings.ask(asked, read)

    def _tell(self, name: str, tensor: torch.Tensor) -> Tensor:
        told = Tensor(name, tensor)
        told.origin = self._names.of_storage(int(tensor.untyped_storage()._cdata))
        cell = self._memory.find(tensor)
        if cell is not None:
            told.error = cell.error
            told.half = told.half or cell.half is not None
            if not told.origin and cell.place is not None:
                told.origin = f"{cell.place.module} {cell.place.operator}".strip()
        return told

    def _range(self, tensor: torch.Tensor, told: Tensor) -> Range | None:
        if not tensor.numel():
            return None
        cell = self._memory.find(tensor)
        if cell is None and not self._memory.knows(tensor):
            cell = self._memory.cell(tensor)
        whole = tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
        if cell is None:
            return self._measure(tensor)
        if cell.uninitialised:
            return None
        if whole and cell.range is not None:
            return cell.range
        found = self._measure(tensor)
        told.unmade = cell.place is None
        if whole:
            cell.range = found
        return found

    @staticmethod
    def _measure(tensor: torch.Tensor) -> Range:
        low, high = torch.aminmax(tensor)
        return low, high

    def _wrote(self, call: Call, tensor: torch.Tensor) -> None:
        cell: Cell | None = self._memory.cell(tensor) if is_float(tensor) else self._memory.find(tensor)
        if cell is not None:
            cell.range = None
            cell.place = call.place
            cell.uninitialised = call.operator.empty


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left is right or (
        left.data_ptr() == right.data_ptr() and (left.shape, left.stride()) == (right.shape, right.stride())
    )
