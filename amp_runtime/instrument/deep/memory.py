"""What is known of the memory behind tensors: its FP32 shadow, its range, who wrote it.

It is kept by memory and not by tensor, as NSan does for C: views, `detach`, and what autograd saves for the backward
pass are other tensors over the same memory, and share what is known of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.multiprocessing.reductions import StorageWeakRef

if TYPE_CHECKING:
    import torch

    from .sites import Place

_SWEEP = 256  # lookups of new memory between two searches for memory that is gone


class Error:
    """How far a tensor is from its shadow; filled in when the figures are read."""

    __slots__ = ("absolute", "finite", "low", "relative")

    def __init__(self) -> None:
        self.absolute = 0.0
        self.relative = 0.0
        self.low = float("nan")  # of the shadow
        self.finite = True  # the shadow is

    def fill(self, values: list[float]) -> None:
        """Take smallest and largest difference, then smallest and largest value of the shadow."""
        least, most, low, high = values
        self.absolute = max(abs(least), abs(most))
        largest = max(abs(low), abs(high))
        self.low, self.finite = low, math.isfinite(low) and math.isfinite(high)
        if math.isnan(self.absolute):
            self.absolute = math.inf
        self.relative = 0.0 if not self.absolute else self.absolute / largest if largest else math.inf
        if not self.finite:
            self.absolute = self.relative = 0.0  # beyond FP32 too: there is nothing to compare with


class Cell:
    """What is known of one storage.

    `shadow` is flat: one number for each element of the storage. `range` holds smallest and largest element of all of
    it. `half` is the type it was cast from, if that was a half type.
    """

    __slots__ = ("_reference", "dtype", "error", "half", "nbytes", "place", "range", "shadow", "uninitialised")

    def __init__(self, storage: torch.UntypedStorage, dtype: torch.dtype) -> None:
        self._reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        self.dtype = dtype
        self.nbytes = storage.nbytes()
        self.shadow: torch.Tensor | None = None
        self.range: tuple[torch.Tensor, torch.Tensor] | None = None
        self.half: torch.dtype | None = None
        self.place: Place | None = None
        self.error: Error | None = None
        self.uninitialised = False

    def dead(self) -> bool:
        return bool(self._reference.expired())  # type: ignore[no-untyped-call]


def key_of(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


class Memory:
    """Cells of living storages. Shadows die with the memory that they shadow.

    A cell holds a weak reference, which keeps the address from being given to another storage while it is here.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._cells: dict[int, Cell] = {}
        self._budget = budget_bytes
        self._until_sweep = _SWEEP
        self.shadow_bytes = 0
        self.peak_bytes = 0
        self.stopped = ""

    def find(self, tensor: torch.Tensor) -> Cell | None:
        """Return what is known of a tensor's memory, seen as its type of number; None if nothing."""
        storage = tensor.untyped_storage()
        cell = self._cells.get(int(storage._cdata))
        if cell is None or cell.dtype is not tensor.dtype or cell.nbytes != storage.nbytes():
            return None
        return cell

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether something is known of the memory, be it as another type of number."""
        return key_of(tensor) in self._cells

    def cell(self, tensor: torch.Tensor) -> Cell:
        """Return the cell of a tensor's memory; a new one if it has none of this type and size."""
        found = self.find(tensor)
        if found is None:
            storage = tensor.untyped_storage()
            self._forget(int(storage._cdata))
            found = self._cells[int(storage._cdata)] = Cell(storage, tensor.dtype)
            self._until_sweep -= 1
            if self._until_sweep <= 0:
                self.sweep()
        return found

    def has_shadow(self, tensor: torch.Tensor) -> bool:
        cell = self.find(tensor)
        return cell is not None and cell.shadow is not None

    def shadow(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the shadow of a tensor in its own shape and strides, or None."""
        cell = self.find(tensor)
        if cell is None or cell.shadow is None:
            return None
        return cell.shadow.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def keep(self, tensor: torch.Tensor, flat: torch.Tensor) -> Cell | None:
        """Make `flat` the shadow of a tensor's whole memory; None once the budget is spent."""
        cell = self.cell(tensor)
        self._drop(cell)
        self.shadow_bytes += flat.nbytes
        cell.shadow = flat
        if self.shadow_bytes > self._budget:
            self.sweep()
            if self.shadow_bytes > self._budget:
                self.stop(f"FP32 shadows took more than the {self._budget:,} bytes they are allowed")
                return None
        self.peak_bytes = max(self.peak_bytes, self.shadow_bytes)
        return cell

    def drop(self, tensor: torch.Tensor) -> None:
        """Forget the shadow of a tensor's memory: from now on, what is there is its own reference."""
        if (cell := self._cells.get(key_of(tensor))) is not None:
            self._drop(cell)

    def stop(self, reason: str) -> None:
        """Give up all shadows for the rest of the step."""
        self.stopped = self.stopped or reason
        for cell in self._cells.values():
            self._drop(cell)

    def sweep(self) -> None:
        """Let go of what belongs to memory that is gone."""
        self._until_sweep = max(_SWEEP, len(self._cells) // 4)
        for key in [key for key, cell in self._cells.items() if cell.dead()]:
            self._forget(key)

    def clear(self) -> None:
        self._cells.clear()
        self.shadow_bytes = 0

    def _forget(self, key: int) -> None:
        if (cell := self._cells.pop(key, None)) is not None:
            self._drop(cell)

    def _drop(self, cell: Cell) -> None:
        if cell.shadow is not None:
            self.shadow_bytes -= cell.shadow.nbytes
            cell.shadow = None
        cell.error = None
